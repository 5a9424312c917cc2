import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isCountry } from '#people';
import { RunError } from './config.ts';
import type { Home } from './home.ts';

/** How people are taken in; all of it can be left out. */
export interface PeopleSettings {
  /** ISO 3166-1 alpha-2: of national numbers of people whose member state is not known. */
  readonly region?: string;
  /** Numbers that are certainly of a fixed line (refuse). */
  readonly landlines?: 'refuse' | 'accept';
  /** Possible numbers of ranges that no numbering plan knows (accept). */
  readonly unknown?: 'refuse' | 'accept';
  /** Where identity providers reach SCIM through the TLS terminator; default: our own loopback address. */
  readonly scimUrl?: string;
}

const policy = (value: unknown) => value === 'refuse' || value === 'accept';
const KNOWN: Readonly<Record<keyof PeopleSettings, (value: unknown) => boolean>> = {
  region: (value) => typeof value === 'string' && isCountry(value),
  landlines: policy,
  unknown: policy,
  scimUrl: (value) => typeof value === 'string' && /^https:\/\/[^\s/?#]+(\/[^\s?#]*[^\s?#/])?$/.test(value),
};

/** Checks settings. Throws RunError `config` on what is not understood. */
export function checkPeopleSettings(value: unknown): PeopleSettings {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RunError('config', 'The settings of people are an object.');
  for (const [name, one] of Object.entries(value)) {
    if (!Object.hasOwn(KNOWN, name)) throw new RunError('config', `People have no setting ${name}.`);
    if (!KNOWN[name as keyof PeopleSettings](one))
      throw new RunError('config', `The setting ${name} of people has a value that it cannot have.`);
  }
  return value as PeopleSettings;
}

/** Changes what is given and leaves the rest; it holds from the next start. Returns what stands there now. Throws RunError. */
export function setPeopleSettings(home: Home, change: PeopleSettings): PeopleSettings {
  const file = join(home.dir, 'supervisor', 'instance.json');
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { readonly people?: unknown };
    const people = { ...checkPeopleSettings(saved.people ?? {}), ...checkPeopleSettings(change) };
    writeFileSync(`${file}.new`, JSON.stringify({ ...saved, people }), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return people;
  } catch (cause) {
    if (cause instanceof RunError) throw cause;
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
}
