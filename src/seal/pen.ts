import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SealError } from './errors.ts';
import type { PublicKeys, Writer } from './messages.ts';
import { type Pen, penPublic } from './write.ts';

const FILE = 'writer.key';

/** A new pen and the PKCS #8 PEM that its file holds. */
export function newPen(writer: Writer): { pen: Pen; pem: string } {
  const key = generateKeyPairSync('ed25519').privateKey;
  return { pen: { writer, key }, pem: key.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

/** Where a process keeps its pen, within its private folder. */
export const penFile = (state: string): string => join(state, FILE);

/** Reads a process's pen. Throws SealError `pen` if it is missing or not the one that the public keys name: it is never made anew. */
export function readPen(state: string, writer: Writer, keys: Pick<PublicKeys, 'writers'>): Pen {
  let pen: Pen;
  try {
    pen = { writer, key: createPrivateKey(readFileSync(penFile(state))) };
  } catch (cause) {
    throw new SealError('pen', `The key that ${writer} signs values with cannot be read. Restore it.`, { cause });
  }
  if (penPublic(pen) !== keys.writers[writer]) {
    throw new SealError(
      'pen',
      `The key that ${writer} signs values with is not the one of this installation. Restore it.`,
    );
  }
  return pen;
}
