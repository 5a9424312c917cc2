import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CosignerKey, ProofError, parseCosignerKey } from '#proof';
import { EvidenceError } from './error.ts';

/** Somebody who is asked over HTTP. */
export interface Outsider {
  readonly name: string;
  /** https, or http on this machine. */
  readonly url: string;
  /** PEM of its authority if it is not a public one. */
  readonly ca?: string;
}

export interface WitnessSettings extends Outsider {
  /** Its verifier keys, Ed25519 or ML-DSA-44; `url` is its submission prefix. C2SP tlog-witness. */
  readonly keys: readonly string[];
}

export interface EvidenceSettings {
  readonly witnesses: readonly WitnessSettings[];
  /** Time stamp authorities, RFC 3161; the next is asked where one does not answer. */
  readonly authorities: readonly Outsider[];
  /** How often each witness is shown what is new. */
  readonly everySeconds: number;
  /** After how long without a cosignature, or with an unanswered time stamp, somebody is told. */
  readonly alarmMinutes: number;
  readonly stampMinutes: number;
}

export const NO_EVIDENCE: EvidenceSettings = {
  ...{ witnesses: [], authorities: [] },
  ...{ everySeconds: 30, alarmMinutes: 15, stampMinutes: 10 },
};

/** The settings, in core's private folder. */
export const evidenceFile = (state: string): string => join(state, 'evidence.json');

const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\])$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/;

const no = (what: string): never => {
  throw new EvidenceError('settings', `The settings of witnesses and time stamps are not as expected: ${what}.`);
};

/** Reads an unknown value as settings. Throws EvidenceError `settings`, which names the member. */
export function checkEvidence(value: unknown): EvidenceSettings {
  const given = members(value, 'the file', [
    ...['witnesses', 'authorities', 'everySeconds', 'alarmMinutes', 'stampMinutes'],
  ]);
  const witnesses = list(given['witnesses'], 'witnesses').map((one, i): WitnessSettings => {
    const where = `witnesses[${i}]`;
    const { keys, ...rest } = members(one, where, ['name', 'url', 'ca', 'keys']);
    const read = list(keys, `${where}.keys`).map((key) => checkKey(key, where));
    if (read.length === 0) no(`${where} has no keys`);
    return { ...outsider(rest, where), keys: read };
  });
  const authorities = list(given['authorities'], 'authorities').map((one, i) =>
    outsider(members(one, `authorities[${i}]`, ['name', 'url', 'ca']), `authorities[${i}]`),
  );
  for (const all of [witnesses, authorities])
    if (new Set(all.map(({ name }) => name)).size !== all.length) no('a name is there twice');
  return {
    ...{ witnesses, authorities },
    everySeconds: number(given['everySeconds'], NO_EVIDENCE.everySeconds, 1, 3_600, 'everySeconds'),
    alarmMinutes: number(given['alarmMinutes'], NO_EVIDENCE.alarmMinutes, 1, 1_440, 'alarmMinutes'),
    stampMinutes: number(given['stampMinutes'], NO_EVIDENCE.stampMinutes, 1, 1_440, 'stampMinutes'),
  };
}

function outsider(given: Record<string, unknown>, where: string): Outsider {
  const { name, url, ca } = given;
  if (typeof name !== 'string' || !NAME.test(name)) return no(`${where}.name is no name`);
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : no(`${where}.url is no address`);
  if (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && LOCAL.test(parsed.hostname)))
    no(`${where}.url must begin with https`);
  if (parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') no(`${where}.url is no plain address`);
  if (ca !== undefined && (typeof ca !== 'string' || !ca.includes('BEGIN CERTIFICATE'))) no(`${where}.ca is no PEM`);
  return { name, url: parsed.href, ...(ca === undefined ? {} : { ca: ca as string }) };
}

function checkKey(key: unknown, where: string): string {
  try {
    parseCosignerKey(String(key));
  } catch (error) {
    if (error instanceof ProofError) no(`${where}.keys: ${error.message.replace(/\.$/, '')}`);
    throw error;
  }
  return String(key);
}

function members(value: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return no(`${where} is no object`);
  for (const name of Object.keys(value)) if (!known.includes(name)) no(`${where} has an unknown member`);
  return value as Record<string, unknown>;
}

function list(value: unknown, where: string): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) && value.length <= 16 ? value : no(`${where} is no list of at most 16`);
}

function number(value: unknown, standard: number, min: number, max: number, where: string): number {
  if (value === undefined) return standard;
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
  return fits ? value : no(`${where} is a whole number from ${min} to ${max}`);
}

export const keysOf = (witness: WitnessSettings): CosignerKey[] => witness.keys.map(parseCosignerKey);

/** The settings of a file, read again when it changes; none if there is no file. Throws EvidenceError `settings`. */
export class SettingsFile {
  readonly #file: string;
  #stamp = '';
  #read: EvidenceSettings = NO_EVIDENCE;

  constructor(file: string) {
    this.#file = file;
  }

  now(): EvidenceSettings {
    const facts = statSync(this.#file, { throwIfNoEntry: false });
    if (facts === undefined) return NO_EVIDENCE;
    const stamp = `${facts.ino} ${facts.mtimeMs} ${facts.size}`;
    if (stamp !== this.#stamp) {
      this.#read = checkEvidence(JSON.parse(readFileSync(this.#file, 'utf8')));
      this.#stamp = stamp;
    }
    return this.#read;
  }
}
