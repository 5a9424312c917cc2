import { readFileSync } from 'node:fs';
import { type CaKey, RunError } from './config.ts';

/** What `bartizan start --certificates FILE` may say; all of it can be left out. */
export interface CertificateSettings {
  readonly certificates?: { readonly deviceDays?: number; readonly renewDays?: number };
  readonly signProfiles?: boolean;
  readonly caKey?: CaKey;
}

const TEXT = ['module', 'token', 'key', 'pinFile'] as const;
const bad = (why: string) => new RunError('config', `The certificate settings are not usable: ${why}`);

/**
 * Reads `{"deviceDays", "renewDays", "signProfiles", "caKey": {"source": "file"} | {"source": "pkcs11", "module", "token", "key",
 * "pinFile", "environment"}}`. Anything unknown refuses. Throws RunError.
 */
export function readCertificateSettings(file: string): CertificateSettings {
  let given: Record<string, unknown>;
  try {
    given = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new RunError('config', 'The certificate settings cannot be read or are not JSON.', { cause });
  }
  const known = ['deviceDays', 'renewDays', 'signProfiles', 'caKey'];
  const strange = Object.keys(given).find((member) => !known.includes(member));
  if (strange !== undefined) throw bad(`there is no setting ${strange}.`);
  const deviceDays = days(given['deviceDays'], 'deviceDays', 7, 825) ?? 365;
  const renewDays = days(given['renewDays'], 'renewDays', 1, 400) ?? Math.min(90, Math.floor(deviceDays / 3));
  if (renewDays >= deviceDays) throw bad('renewDays must be less than deviceDays.');
  const sign = given['signProfiles'];
  if (sign !== undefined && typeof sign !== 'boolean') throw bad('signProfiles is true or false.');
  return {
    certificates: { deviceDays, renewDays },
    ...(sign === undefined ? {} : { signProfiles: sign }),
    ...(given['caKey'] === undefined ? {} : { caKey: caKey(given['caKey']) }),
  };
}

function days(value: unknown, name: string, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw bad(`${name} is a whole number from ${least} to ${most}.`);
}

function caKey(value: unknown): CaKey {
  if (typeof value !== 'object' || value === null) throw bad('caKey is an object.');
  const given = value as Record<string, unknown>;
  if (given['source'] === 'file' && Object.keys(given).length === 1) return { source: 'file' };
  if (given['source'] !== 'pkcs11') throw bad('caKey.source is "file" or "pkcs11".');
  const strange = Object.keys(given).find((member) => ![...TEXT, 'source', 'environment'].includes(member));
  if (strange !== undefined) throw bad(`there is no setting caKey.${strange}.`);
  for (const member of TEXT) {
    if (typeof given[member] !== 'string' || given[member] === '') throw bad(`caKey.${member} is missing.`);
  }
  const environment = given['environment'] ?? {};
  if (typeof environment !== 'object' || Object.values(environment).some((one) => typeof one !== 'string')) {
    throw bad('caKey.environment holds texts by name.');
  }
  return given as unknown as CaKey;
}
