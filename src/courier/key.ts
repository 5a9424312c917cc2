import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toBase64url } from '#base';
import { x25519Raw } from '#seal';

const file = (state: string) => join(state, 'courier.key');

/** Makes courier's key, to which the guards open addresses, or keeps the one that is there. Returns the public half. */
export function makeCourierKey(state: string): { courier: string } {
  if (existsSync(file(state))) return { courier: toBase64url(x25519Raw(createPrivateKey(readFileSync(file(state))))) };
  const { privateKey } = generateKeyPairSync('x25519');
  writeFileSync(file(state), privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  return { courier: toBase64url(x25519Raw(privateKey)) };
}

/** Reads it; throws if it is not the one that the public keys name. */
export function readCourierKey(state: string, published: string): KeyObject {
  const key = createPrivateKey(readFileSync(file(state)));
  if (toBase64url(x25519Raw(key)) !== published) throw new Error('courier’s key is not the one of this installation');
  return key;
}
