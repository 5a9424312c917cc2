import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuardError } from '#seal';
import { makeFolder, writeDurably } from '../files.ts';

// Made by `--init-search`, when search is switched on for the first time. A guard with search that misses one does not start.
/** The sealer's: what queries are sealed to. */
export const QUERY_KEY = 'search';
/** The sealer's half of a number's tag: 32 bytes for HMAC. */
export const TAG_KEY = 'tags';
/** The ledger's half: the seed of its key of the oblivious function. */
export const OPRF_KEY = 'oprf';

async function make(state: string, name: string, bytes: () => Buffer): Promise<void> {
  const path = join(state, `${name}.key`);
  if (existsSync(path)) return;
  makeFolder(state, 0o700);
  const secret = bytes();
  await writeDurably(path, secret);
  secret.fill(0);
}

const secret32 = () => randomBytes(32);

/** Makes the sealer's keys of search; one that is there stays. */
export async function foundSealerSearch(state: string): Promise<void> {
  await make(state, QUERY_KEY, () => generateKeyPairSync('x25519').privateKey.export({ format: 'der', type: 'pkcs8' }));
  await make(state, TAG_KEY, secret32);
}

/** Makes the ledger's key of number search; one that is there stays. */
export const foundLedgerSearch = (state: string): Promise<void> => make(state, OPRF_KEY, secret32);

/** Reads 32 secret bytes. Throws GuardError `not-founded`: they are never made silently. */
export function loadSecret(state: string, name: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(state, `${name}.key`));
  } catch (cause) {
    throw new GuardError('not-founded', `The key ${name} is missing. Restore it; it is not made anew.`, { cause });
  }
  if (bytes.length !== 32) throw new GuardError('corrupt', `The key ${name} is damaged.`);
  return bytes;
}
