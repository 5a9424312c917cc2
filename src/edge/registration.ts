import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#base';
import type { Pool } from '#store';
import { type Certificate, makeCsr, parseCertificate, type Registration } from '#wire';
import { EdgeError } from './error.ts';

/** Edge's SCEP identity, and the CA whose devices it believes. */
export interface EdgeIdentity {
  readonly registration: Registration;
  readonly ca: Certificate;
}

/** Makes the registration key once (RSA 2048: SCEP encrypts to it). Refuses if one is there. */
export function makeRegistrationKey(state: string): void {
  const file = join(state, 'ra.key');
  if (existsSync(file)) throw new EdgeError('registration', 'There is a registration key already.');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
}

/**
 * Loads the registration key and asks core for its certificate, through the database, until core answers (up to
 * `waitMs`). No private key ever leaves the process that made it.
 */
export async function registerEdge(pool: Pool, state: string, waitMs = 30_000): Promise<EdgeIdentity> {
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(join(state, 'ra.key')));
  } catch (cause) {
    throw new EdgeError('registration', 'The registration key cannot be read. Restore it from the backup of edge.', {
      cause,
    });
  }
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const csr = makeCsr({ key, commonName: 'registration' });
  for (let waited = 0; waited <= waitMs; waited += 100) {
    const { rows } = await pool.query<{ certificate: Buffer | null; ca: Buffer | null }>(
      'select * from edge.register($1, $2)',
      [sha256(spki), csr],
    );
    const row = rows[0];
    if (row?.certificate && row.ca) {
      return { registration: { certificate: parseCertificate(row.certificate), key }, ca: parseCertificate(row.ca) };
    }
    await sleep(100);
  }
  throw new EdgeError('registration', 'Core did not sign the registration certificate in time.');
}
