import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Json, toBase64url } from '#base';
import { GuardError, x25519Raw } from '#seal';
import { makeFolder, writeDurably } from './files.ts';

/** Makes a private key file (PKCS#8 DER, 0600). Fails if there is one: keys are made once. */
export async function makeKey(state: string, name: string, type: 'x25519' | 'ed25519'): Promise<KeyObject> {
  const path = join(state, `${name}.key`);
  if (existsSync(path)) throw new GuardError('founded', 'This guard has its keys already.');
  makeFolder(state, 0o700);
  const { privateKey } = type === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ed25519');
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  await writeDurably(path, der);
  der.fill(0);
  return privateKey;
}

/**
 * Reads a private key: a file, or the credential of that name that systemd gave this process, which then has no file beside it.
 * Throws GuardError `not-founded` if it is missing: it is never made silently.
 */
export function loadKey(state: string, name: string, type: 'x25519' | 'ed25519', credentials?: string): KeyObject {
  let der: Buffer;
  try {
    const given = credentials === undefined ? undefined : join(credentials, `${name}.key`);
    der = readFileSync(given !== undefined && existsSync(given) ? given : join(state, `${name}.key`));
  } catch (cause) {
    throw new GuardError('not-founded', `The key ${name} is missing. Restore it; it is not made anew.`, { cause });
  }
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  if (key.asymmetricKeyType !== type) throw new GuardError('corrupt', `The key ${name} is of another kind.`);
  return key;
}

/** Raw X25519 public key or Ed25519 SPKI DER, base64url, as in PublicKeys. */
export function publicText(key: KeyObject): string {
  if (key.asymmetricKeyType === 'x25519') return toBase64url(x25519Raw(key));
  const jwk = key.export({ format: 'jwk' }) as { x: string } & { [key: string]: Json };
  return toBase64url(Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(jwk.x, 'base64url')]));
}
