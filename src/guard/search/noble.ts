import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '#base';
import { GuardError } from '#seal';
import { NOBLE_FILES } from './noble-files.ts';

/** A point of ristretto255 (RFC 9496), as little of it as the function needs. */
export interface Point {
  multiply(scalar: bigint): Point;
  toBytes(): Uint8Array;
  equals(other: Point): boolean;
}

/** The group of prime order in which the function is computed. */
export interface Group {
  /** Throws for what is no canonical encoding of a point. */
  decode(bytes: Uint8Array): Point;
  /** Element derivation of 64 uniform bytes, RFC 9496 section 4.3.4. */
  derive(uniform: Uint8Array): Point;
  readonly zero: Point;
  readonly order: bigint;
}

/** Throws GuardError `package` unless each file is the one of this hash. */
export function checkFiles(pins: { readonly [path: string]: string }, pathOf: (path: string) => string): void {
  for (const [path, pinned] of Object.entries(pins)) {
    if (sha256(readFileSync(pathOf(path))).toString('hex') === pinned) continue;
    throw new GuardError('package', `${path} is not the file that was pinned. Number search is not started.`);
  }
}

/**
 * Loads the group arithmetic, if every file of it is the one that was read and pinned. Only number search does that, and only
 * where it is switched on. Throws GuardError `package`.
 */
export async function loadGroup(): Promise<Group> {
  const roots = {
    curves: dirname(fileURLToPath(import.meta.resolve('@noble/curves/ed25519.js'))),
    hashes: dirname(fileURLToPath(import.meta.resolve('@noble/hashes/sha2.js'))),
  };
  checkFiles(NOBLE_FILES, (path) => {
    const [, name, ...rest] = path.split('/');
    return join(roots[name as keyof typeof roots], ...rest);
  });
  const { ristretto255, ristretto255_hasher: hasher } = await import('@noble/curves/ed25519.js');
  const { Point } = ristretto255;
  return {
    decode: (bytes) => Point.fromBytes(bytes),
    derive: (uniform) => hasher.deriveToCurve!(uniform),
    zero: Point.ZERO,
    order: Point.Fn.ORDER,
  };
}
