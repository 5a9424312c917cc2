import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from './config.ts';
import { type Home, ledgerElsewhere } from './home.ts';

import { initProcess } from './init.ts';

/** How long, at most, each search may stay open once two people have opened it; what is left out does not exist. */
export interface SearchSettings {
  readonly name?: { readonly hours: number };
  readonly number?: { readonly hours: number };
}

const MOST_HOURS = 168;

/** Checks settings. Throws RunError `config` on what is not understood. */
export function checkSearch(value: unknown): SearchSettings {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RunError('config', 'The settings of search are an object.');
  for (const [field, one] of Object.entries(value)) {
    if (field !== 'name' && field !== 'number') throw new RunError('config', `There is no search by ${field}.`);
    const hours = (one as { hours?: unknown } | null)?.hours;
    if (typeof hours !== 'number' || !Number.isInteger(hours) || hours < 1 || hours > MOST_HOURS)
      throw new RunError('config', `A search stays open for 1 to ${MOST_HOURS} hours.`);
  }
  return value as SearchSettings;
}

/** Switches searches on (hours) or off (0); what is not given stays. It holds from the next start. Throws RunError. */
export function setSearch(home: Home, change: { readonly [field in 'name' | 'number']?: number }): SearchSettings {
  const file = join(home.dir, 'supervisor', 'instance.json');
  if (ledgerElsewhere(home))
    throw new RunError('usage', 'Search is not offered with a ledger on another host yet. It stays off.');
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { readonly search?: SearchSettings };
    const hours = { name: saved.search?.name?.hours, number: saved.search?.number?.hours, ...change };
    const on = Object.entries(hours).filter(([, one]) => one !== undefined && one !== 0);
    const search = checkSearch(Object.fromEntries(on.map(([field, one]) => [field, { hours: one }])));
    writeFileSync(`${file}.new`, JSON.stringify({ ...saved, search }), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return search;
  } catch (cause) {
    if (cause instanceof RunError) throw cause;
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
}

/**
 * Has the guards make their keys of search when it is switched on for the first time; a guard that misses them later does
 * not start. Throws RunError.
 */
export async function mustHaveSearchKeys(home: Home, search: SearchSettings | undefined): Promise<void> {
  const mark = join(home.dir, 'supervisor', 'search-founded');
  if (search === undefined || Object.keys(search).length === 0 || existsSync(mark)) return;
  await initProcess(home, 'ledger', '', '--init-search');
  await initProcess(home, 'sealer', '', '--init-search');
  writeFileSync(mark, new Date().toISOString(), { mode: 0o600 });
}
