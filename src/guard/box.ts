import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuardError } from '#seal';
import { writeDurably } from './files.ts';

// What leaves the sealer of a secret that a key service or people keep for it: nonce 12 ‖ AES-256-GCM ‖ tag 16 under a key of
// the sealer's folder, bound to the public key. So neither the keeper, nor the service, nor all shares together have the
// organisation's key; and neither has the sealer's folder.
const FILE = 'wrap.key';

function readWrapKey(state: string): Buffer {
  let key: Buffer;
  try {
    key = readFileSync(join(state, FILE));
  } catch (cause) {
    throw new GuardError('not-founded', 'The sealer’s wrapping key is missing. Restore it; it is not made anew.', {
      cause,
    });
  }
  if (key.length !== 32) throw new GuardError('corrupt', 'The sealer’s wrapping key is damaged.');
  return key;
}

/** A box with the secret (32 bytes) of this public key. Makes the wrapping key when the first box is made. */
export async function sealBox(state: string, secret: Buffer, publicKey: Uint8Array): Promise<Buffer> {
  if (!existsSync(join(state, FILE))) await writeDurably(join(state, FILE), randomBytes(32));
  const key = readWrapKey(state);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(publicKey);
  const box = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return box;
}

/** Reverses `sealBox` into memory of its own. Throws GuardError `wrong-key`. */
export function openBox(state: string, box: Buffer, publicKey: Uint8Array): Buffer {
  const key = readWrapKey(state);
  const secret = Buffer.alloc(32);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, 12));
    decipher.setAAD(publicKey);
    decipher.setAuthTag(box.subarray(-16));
    const opened = Buffer.concat([decipher.update(box.subarray(12, -16)), decipher.final()]);
    opened.copy(secret);
    opened.fill(0);
    return secret;
  } catch (cause) {
    throw new GuardError('wrong-key', 'The source gave another key than the one that was pinned.', { cause });
  } finally {
    key.fill(0);
  }
}
