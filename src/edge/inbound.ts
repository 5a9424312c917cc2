import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes, sha256 } from '#base';
import { canaryAddress, canaryTag, type PublicKeys, sealCall } from '#seal';
import type { Pool } from '#store';
import { type Answer, refused } from './answer.ts';
import { EdgeError } from './error.ts';

/** How old, or how far ahead, a signed time may be, seconds. */
const WINDOW = 300;
const MEMBERS = ['secret', 'signatureHeader', 'timestampHeader', 'to', 'how'];

/** How the provider of canary numbers and mailboxes signs what it sends. The operator's file `inbound.json` in edge's directory. */
export interface InboundSettings {
  readonly secret: string;
  /** Default `x-signature`: HMAC-SHA256 over `<timestamp>.<body>`, in hex or base64, with or without `sha256=`. */
  readonly signatureHeader: string;
  /** Default `x-timestamp`: seconds since the Unix epoch. */
  readonly timestampHeader: string;
  /** Where in the JSON the called address is, such as `to` or `data.to`. */
  readonly to: string;
  /** Where in the JSON it says `call`, `sms` or `email`; told by the address if it is left out. */
  readonly how?: string;
}

export const inboundFile = (state: string): string => join(state, 'inbound.json');

/** Throws EdgeError `inbound` for a setting that is unknown, missing or not safe; names it, never its value. */
export function checkInbound(value: unknown): InboundSettings {
  const no = (what: string): never => {
    throw new EdgeError('inbound', `The settings for inbound messages are not as expected: ${what}.`);
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return no('it is no object');
  for (const name of Object.keys(value)) if (!MEMBERS.includes(name)) no('it has an unknown member');
  const given: Record<string, unknown> = {
    signatureHeader: 'x-signature',
    timestampHeader: 'x-timestamp',
    to: 'to',
    ...value,
  };
  if (typeof given['secret'] !== 'string' || given['secret'].length < 16) no('secret has at least 16 characters');
  for (const name of ['signatureHeader', 'timestampHeader']) {
    if (typeof given[name] !== 'string' || !/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(given[name]))
      no(`${name} is no header`);
  }
  for (const name of ['to', 'how']) {
    const path = given[name];
    if (path !== undefined && (typeof path !== 'string' || !/^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+){0,4}$/.test(path))) {
      no(`${name} is no place in the JSON`);
    }
  }
  return given as unknown as InboundSettings;
}

/** The settings in edge's state; undefined where nobody set any. Throws EdgeError. */
export function readInbound(state: string): InboundSettings | undefined {
  if (!existsSync(inboundFile(state))) return undefined;
  try {
    return checkInbound(JSON.parse(readFileSync(inboundFile(state), 'utf8')));
  } catch (cause) {
    if (cause instanceof EdgeError) throw cause;
    throw new EdgeError('inbound', 'The file inbound.json of edge cannot be read or is not JSON.', { cause });
  }
}

/**
 * A provider tells that one of the organisation's canary numbers or mailboxes was rung or written to. Authenticated before it
 * is parsed; who called and what was said is not looked at. The address goes on as a tag, sealed to the ledger.
 */
export async function takeInbound(
  doors: { readonly pool: Pool; readonly keys: PublicKeys; readonly clock: () => number },
  settings: InboundSettings,
  message: { readonly body: Uint8Array; readonly header: (name: string) => string | undefined },
): Promise<Answer> {
  const { secret, signatureHeader, timestampHeader } = settings;
  const time = message.header(timestampHeader.toLowerCase()) ?? '';
  const signature = readSignature(message.header(signatureHeader.toLowerCase()) ?? '');
  const expected = createHmac('sha256', secret).update(`${time}.`).update(message.body).digest();
  if (signature === undefined || !equalBytes(signature, expected)) return refused;
  const age = doors.clock() / 1000 - Number(time);
  if (!/^[0-9]{10}$/.test(time) || Math.abs(age) > WINDOW) return refused;
  const read = parse(message.body);
  const to = at(read, settings.to);
  const address = typeof to === 'string' ? canaryAddress(to) : undefined;
  if (address === undefined) return refused;
  const said = settings.how === undefined ? undefined : at(read, settings.how);
  const how = said === 'call' || said === 'sms' || said === 'email' ? said : address.includes('@') ? 'email' : 'sms';
  const box = sealCall(doors.keys.outer, canaryTag(doors.keys.org, address));
  await doors.pool.query('select edge.canary_called($1, $2, $3)', [sha256('inbound', expected), how, box]);
  return { status: 204 };
}

function readSignature(text: string): Buffer | undefined {
  const plain = text.replace(/^sha256=/i, '').trim();
  const bytes = /^[0-9a-f]{64}$/i.test(plain) ? Buffer.from(plain, 'hex') : Buffer.from(plain, 'base64');
  return bytes.length === 32 ? bytes : undefined;
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

function at(value: unknown, path: string): unknown {
  let here = value;
  for (const name of path.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined;
    here = (here as Record<string, unknown>)[name];
  }
  return here;
}
