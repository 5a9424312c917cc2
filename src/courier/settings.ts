import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Channel } from '#seal';
import { CourierError } from './error.ts';

/** An HTTP gateway for SMS. */
export interface SmsSettings {
  /** https, or http on this machine. */
  readonly url: string;
  /** The JSON that is posted; `{to}`, `{text}` and `{id}` in its texts are filled in. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly bearer?: string;
  readonly basic?: { readonly user: string; readonly password: string };
  /** The header with which the gateway tells one message from two; without it nothing doubtful is sent again. */
  readonly idempotencyHeader?: string;
  /** PEM of the gateway's authority if it is not a public one. */
  readonly ca?: string;
  readonly timeoutSeconds?: number;
}

/** A mail server that takes submissions. */
export interface MailSettings {
  readonly host: string;
  readonly port: number;
  /** `implicit`: TLS from the first byte (465). `starttls`: required before anything is said (587). `none`: this machine only. */
  readonly tls: 'implicit' | 'starttls' | 'none';
  readonly user?: string;
  readonly password?: string;
  readonly from: string;
  readonly ca?: string;
  readonly timeoutSeconds?: number;
}

export interface CourierSettings {
  readonly sms?: SmsSettings;
  readonly mail?: MailSettings;
}

export const settingsFile = (state: string): string => join(state, 'gateways.json');

const no = (what: string): never => {
  throw new CourierError('settings', `The gateway settings are not as expected: ${what}.`);
};

const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\]|::1)$/;

/** Reads an unknown value as settings. Throws CourierError `settings`, which names the member and never its value. */
export function checkSettings(value: unknown): CourierSettings {
  const { sms, mail } = members(value, 'the file', ['sms', 'mail']);
  return {
    ...(sms === undefined ? {} : { sms: checkSms(sms) }),
    ...(mail === undefined ? {} : { mail: checkMail(mail) }),
  };
}

function checkSms(value: unknown): SmsSettings {
  const given = members(value, 'sms', ['url', 'body', 'bearer', 'basic', 'idempotencyHeader', 'ca', 'timeoutSeconds']);
  const url = text(given['url'], 'sms.url');
  const parsed = URL.canParse(url) ? new URL(url) : no('sms.url is no address');
  if (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && LOCAL.test(parsed.hostname))) {
    no('sms.url must begin with https');
  }
  if (parsed.username !== '' || parsed.password !== '') no('sms.url must hold no password; use basic');
  const body = members(given['body'], 'sms.body');
  const written = JSON.stringify(body);
  if (!written.includes('{to}') || !written.includes('{text}')) no('sms.body needs {to} and {text}');
  const basic = given['basic'] === undefined ? undefined : members(given['basic'], 'sms.basic', ['user', 'password']);
  if (basic !== undefined && given['bearer'] !== undefined) no('sms has both bearer and basic');
  const header = optionalText(given['idempotencyHeader'], 'sms.idempotencyHeader');
  if (header !== undefined && !/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(header)) no('sms.idempotencyHeader is no header');
  return {
    url,
    body,
    ...kept('bearer', optionalText(given['bearer'], 'sms.bearer')),
    ...(basic === undefined
      ? {}
      : {
          basic: {
            user: text(basic['user'], 'sms.basic.user'),
            password: text(basic['password'], 'sms.basic.password'),
          },
        }),
    ...kept('idempotencyHeader', header),
    ...kept('ca', optionalText(given['ca'], 'sms.ca')),
    ...kept('timeoutSeconds', seconds(given['timeoutSeconds'], 'sms.timeoutSeconds')),
  };
}

function checkMail(value: unknown): MailSettings {
  const given = members(value, 'mail', ['host', 'port', 'tls', 'user', 'password', 'from', 'ca', 'timeoutSeconds']);
  const host = text(given['host'], 'mail.host');
  if (!/^[A-Za-z0-9.:-]{1,253}$/.test(host)) no('mail.host is no host');
  const port = given['port'];
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    return no('mail.port is no port');
  const tls = given['tls'];
  if (tls !== 'implicit' && tls !== 'starttls' && tls !== 'none') return no('mail.tls is implicit, starttls or none');
  if (tls === 'none' && !LOCAL.test(host)) no('mail.tls may be none on this machine only');
  const from = text(given['from'], 'mail.from');
  if (!/^[^\s@<>",;]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(from)) no('mail.from is no address');
  const user = optionalText(given['user'], 'mail.user');
  const password = optionalText(given['password'], 'mail.password');
  if ((user === undefined) !== (password === undefined)) no('mail needs user and password, or neither');
  return {
    ...{ host, port, tls, from },
    ...kept('user', user),
    ...kept('password', password),
    ...kept('ca', optionalText(given['ca'], 'mail.ca')),
    ...kept('timeoutSeconds', seconds(given['timeoutSeconds'], 'mail.timeoutSeconds')),
  };
}

function members(value: unknown, where: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return no(`${where} is no object`);
  for (const name of Object.keys(value))
    if (known !== undefined && !known.includes(name)) no(`${where} has an unknown member`);
  return value as Record<string, unknown>;
}

function text(value: unknown, where: string): string {
  return typeof value === 'string' && value.length > 0 && value.length <= 20_000 && !value.includes('\0')
    ? value
    : no(`${where} is no text`);
}

const optionalText = (value: unknown, where: string) => (value === undefined ? undefined : text(value, where));

function seconds(value: unknown, where: string): number | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'number' && value >= 1 && value <= 120 ? value : no(`${where} is 1 to 120`);
}

const kept = <K extends string, T>(name: K, value: T | undefined): { [k in K]?: T } =>
  (value === undefined ? {} : { [name]: value }) as { [k in K]?: T };

/** The settings in courier's state; none if there is no file. Throws CourierError. */
export function readSettings(state: string): CourierSettings {
  let written: string;
  try {
    written = readFileSync(settingsFile(state), 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return {};
    throw error;
  }
  try {
    return checkSettings(JSON.parse(written));
  } catch (error) {
    if (error instanceof SyntaxError) return no('it is not JSON');
    throw error;
  }
}

export const channelsOf = (settings: CourierSettings): Channel[] => [
  ...(settings.sms === undefined ? [] : (['sms'] as const)),
  ...(settings.mail === undefined ? [] : (['email'] as const)),
];

/** Channels whose gateway sends a message once, however often it is asked. */
export const repeatable = (settings: CourierSettings): Channel[] =>
  settings.sms?.idempotencyHeader === undefined ? [] : ['sms'];
