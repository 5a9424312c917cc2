import type { KeyObject } from 'node:crypto';
import { ProofError } from './errors.ts';
import { openNote, parseVerifierKey, signNote } from './note.ts';

/** What a checkpoint says. C2SP tlog-checkpoint without extension lines. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** Signs a checkpoint; the signing key's name is the origin. */
export function signCheckpoint(checkpoint: Checkpoint, privateKey: KeyObject): string {
  const { origin, size, root } = checkpoint;
  return signNote(`${origin}\n${size}\n${root.toString('base64')}\n`, origin, privateKey);
}

/** Reads a checkpoint's text without its signatures. Throws ProofError `checkpoint`. */
export function parseCheckpoint(text: string): Checkpoint {
  const match = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/u.exec(text);
  const root = Buffer.from(match?.[3] ?? '', 'base64');
  const size = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(size) || root.toString('base64') !== match[3]) {
    throw new ProofError('checkpoint', 'The checkpoint is malformed.');
  }
  return { origin: match[1]!, size, root };
}

/** Reads a checkpoint of any log, which may have extension lines; nothing is said about those. Throws ProofError `checkpoint`. */
export function parseForeignCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.slice(3).includes('')) {
    throw new ProofError('checkpoint', 'The checkpoint is malformed.');
  }
  return parseCheckpoint(`${lines.slice(0, 3).join('\n')}\n`);
}

/** Checks a signed checkpoint against a verifier key, whose name must be the origin. Throws ProofError. */
export function openCheckpoint(note: string, verifier: string): Checkpoint {
  const key = parseVerifierKey(verifier);
  const checkpoint = parseCheckpoint(openNote(note, key));
  if (checkpoint.origin !== key.name) throw new ProofError('checkpoint', 'The checkpoint is of another log.');
  return checkpoint;
}
