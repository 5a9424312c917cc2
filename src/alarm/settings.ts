import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AlarmError } from './error.ts';

export const KINDS = ['email', 'webhook', 'slack', 'teams', 'matrix', 'ntfy', 'pagerduty', 'alertmanager'] as const;
export type Kind = (typeof KINDS)[number];
const LEVELS = ['informational', 'low', 'medium', 'high', 'critical'] as const;

interface Common {
  readonly name: string;
  readonly least: (typeof LEVELS)[number];
  /** Told only of alerts that nobody took up for so long. */
  readonly afterMinutes?: number;
  /** PEM of the receiver's authority if it is not a public one. */
  readonly ca?: string;
}

/** A place where alerts go. Members beside the common ones are that service's own. */
export type Channel = Common &
  (
    | {
        readonly kind: 'email';
        readonly host: string;
        readonly port: number;
        readonly tls: 'implicit' | 'starttls' | 'none';
        readonly from: string;
        readonly to: readonly string[];
        readonly user?: string;
        readonly password?: string;
      }
    | { readonly kind: 'webhook'; readonly url: string; readonly secrets: readonly string[] }
    | { readonly kind: 'slack' | 'teams'; readonly url: string }
    | { readonly kind: 'matrix'; readonly url: string; readonly room: string; readonly token: string }
    | { readonly kind: 'ntfy'; readonly url: string; readonly topic: string; readonly token?: string }
    | { readonly kind: 'pagerduty'; readonly routingKey: string; readonly url?: string }
    | { readonly kind: 'alertmanager'; readonly url: string; readonly token?: string }
  );

/** A dead man's switch outside: told every so often while watch sees what happens; it cries when that stops. */
export interface Heartbeat {
  readonly url: string;
  readonly everySeconds: number;
  readonly ca?: string;
}

export interface AlarmSettings {
  readonly channels: readonly Channel[];
  readonly heartbeat?: Heartbeat;
}

export const NO_ALARMS: AlarmSettings = { channels: [] };
export const alarmsFile = (state: string): string => join(state, 'alarms.json');

const no = (what: string): never => {
  throw new AlarmError('settings', `The settings of alerts are not as expected: ${what}. Nothing was changed.`);
};
const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\]|::1)$/;
type Read = (name: string) => unknown;

function members(value: unknown, where: string, known: readonly string[]): Read {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return no(`${where} is no object`);
  for (const name of Object.keys(value)) if (!known.includes(name)) no(`${where} has an unknown member`);
  return (name) => (value as Record<string, unknown>)[name];
}

const text = (value: unknown, where: string, pattern = /^[^\0]{1,20000}$/s): string =>
  typeof value === 'string' && pattern.test(value) ? value : no(`${where} is missing or not as expected`);

function address(value: unknown, where: string): string {
  const url = text(value, where, /^\S{8,2000}$/);
  const parsed = URL.canParse(url) ? new URL(url) : no(`${where} is no address`);
  if (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && LOCAL.test(parsed.hostname))) {
    no(`${where} must begin with https`);
  }
  if (parsed.username !== '' || parsed.password !== '') no(`${where} must hold no password`);
  return url;
}

const number = (value: unknown, where: string, least: number, most: number): number =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
    ? value
    : no(`${where} is ${least} to ${most}`);

const maybe = <T>(name: string, read: Read, reader: (value: unknown) => T): object =>
  read(name) === undefined ? {} : { [name]: reader(read(name)) };

function list<T>(value: unknown, where: string, most: number, reader: (one: unknown) => T): T[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > most)
    return no(`${where} is a list of 1 to ${most}`);
  return value.map(reader);
}

const OWN: { readonly [kind in Kind]: readonly string[] } = {
  email: ['host', 'port', 'tls', 'from', 'to', 'user', 'password'],
  webhook: ['url', 'secrets'],
  slack: ['url'],
  teams: ['url'],
  matrix: ['url', 'room', 'token'],
  ntfy: ['url', 'topic', 'token'],
  pagerduty: ['routingKey', 'url'],
  alertmanager: ['url', 'token'],
};
const COMMON = ['name', 'kind', 'least', 'afterMinutes', 'ca'];
const MAILBOX = /^[^\s@<>",;]{1,64}@[A-Za-z0-9.-]{1,253}$/;
/** Standard Webhooks: `whsec_` for HMAC-SHA256, `whsk_` for an Ed25519 private key. */
const SECRET = /^(whsec_[A-Za-z0-9+/]{32,}={0,2}|whsk_[A-Za-z0-9+/]{43,}={0,2})$/;

function checkChannel(value: unknown, index: number): Channel {
  const at = `channels[${index}]`;
  const kind = KINDS.find((one) => one === (value as { kind?: unknown } | null)?.kind) ?? no(`${at}.kind is unknown`);
  const read = members(value, at, [...COMMON, ...OWN[kind]]);
  const common = {
    name: text(read('name'), `${at}.name`, /^[a-z0-9][a-z0-9-]{0,39}$/),
    least: LEVELS.find((level) => level === (read('least') ?? 'high')) ?? no(`${at}.least is a level`),
    ...maybe('afterMinutes', read, (one) => number(one, `${at}.afterMinutes`, 1, 1440)),
    ...maybe('ca', read, (one) => text(one, `${at}.ca`)),
  };
  const url = () => address(read('url'), `${at}.url`);
  const secret = (name: string) => text(read(name), `${at}.${name}`, /^\S{4,4000}$/);
  switch (kind) {
    case 'email':
      return { kind, ...common, ...checkMail(read, at) };
    case 'webhook': {
      const secrets = list(read('secrets'), `${at}.secrets`, 4, (one) => text(one, `${at}.secrets`, SECRET));
      return { kind, ...common, url: url(), secrets };
    }
    case 'slack':
    case 'teams':
      return { kind, ...common, url: url() };
    case 'matrix': {
      const room = text(read('room'), `${at}.room`, /^[!#][^\s/?#]{1,255}$/);
      return { kind, ...common, url: url(), room, token: secret('token') };
    }
    case 'ntfy': {
      const topic = text(read('topic'), `${at}.topic`, /^[A-Za-z0-9_-]{1,64}$/);
      return { kind, ...common, url: url(), topic, ...(read('token') === undefined ? {} : { token: secret('token') }) };
    }
    case 'pagerduty':
      return {
        ...{ kind, ...common, routingKey: text(read('routingKey'), `${at}.routingKey`, /^[A-Za-z0-9]{20,64}$/) },
        ...(read('url') === undefined ? {} : { url: url() }),
      };
    case 'alertmanager':
      return { kind, ...common, url: url(), ...(read('token') === undefined ? {} : { token: secret('token') }) };
    default:
      return kind satisfies never;
  }
}

function checkMail(read: Read, at: string) {
  const host = text(read('host'), `${at}.host`, /^[A-Za-z0-9.:-]{1,253}$/);
  const tls = read('tls');
  if (tls !== 'implicit' && tls !== 'starttls' && tls !== 'none') return no(`${at}.tls is implicit, starttls or none`);
  if (tls === 'none' && !LOCAL.test(host)) no(`${at}.tls may be none on this machine only`);
  if ((read('user') === undefined) !== (read('password') === undefined))
    no(`${at} needs user and password, or neither`);
  return {
    ...{ host, tls: tls as 'implicit' | 'starttls' | 'none', port: number(read('port'), `${at}.port`, 1, 65_535) },
    from: text(read('from'), `${at}.from`, MAILBOX),
    to: list(read('to'), `${at}.to`, 20, (one) => text(one, `${at}.to`, MAILBOX)),
    ...(read('user') === undefined
      ? {}
      : { user: text(read('user'), `${at}.user`), password: text(read('password'), `${at}.password`) }),
  };
}

/** Reads an unknown value as settings. Throws AlarmError `settings`, which names the member and never its value. */
export function checkAlarms(value: unknown): AlarmSettings {
  const read = members(value, 'the file', ['channels', 'heartbeat']);
  const channels = read('channels') === undefined ? [] : read('channels');
  if (!Array.isArray(channels) || channels.length > 30) return no('channels is a list of at most 30');
  const checked = channels.map(checkChannel);
  if (new Set(checked.map(({ name }) => name)).size !== checked.length) no('two channels have one name');
  if (read('heartbeat') === undefined) return { channels: checked };
  const beat = members(read('heartbeat'), 'heartbeat', ['url', 'everySeconds', 'ca']);
  const heartbeat = {
    url: address(beat('url'), 'heartbeat.url'),
    everySeconds: number(beat('everySeconds') ?? 60, 'heartbeat.everySeconds', 10, 3600),
    ...maybe('ca', beat, (one) => text(one, 'heartbeat.ca')),
  };
  return { channels: checked, heartbeat };
}

/** The settings in courier's state; none if there is no file. Throws AlarmError. */
export function readAlarms(state: string): AlarmSettings {
  let written: string;
  try {
    written = readFileSync(alarmsFile(state), 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return NO_ALARMS;
    throw error;
  }
  try {
    return checkAlarms(JSON.parse(written));
  } catch (error) {
    if (error instanceof SyntaxError) return no('it is not JSON');
    throw error;
  }
}
