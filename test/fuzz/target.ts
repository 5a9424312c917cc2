import type { Dice } from './dice.ts';

/** A parser under test. Its contract: any bytes either parse or throw WireError, in time and memory bounded by their size. */
export interface Target {
  readonly name: string;
  readonly form: 'xml' | 'der' | 'json' | 'cbor';
  /** Largest input that the product hands to this parser; the driver goes a little beyond. */
  readonly maxBytes: number;
  /** Valid inputs, from our own encoders and from foreign ones. */
  readonly seeds: readonly Buffer[];
  /** Memory in MiB that the runtime itself keeps back for each 1000 inputs while no event loop turns, and why. */
  readonly keptBack?: { readonly peakMb: number; readonly heldMb: number; readonly why: string };
  /** Fragments that mean something to the parser. */
  readonly words: readonly Buffer[];
  /**
   * Parses, and checks what was parsed (throws Broken if the value itself breaks a promise). What it returns names the way the
   * input took, so that new ways are followed.
   */
  parse(input: Buffer): string;
  /** Inputs whose inside is odd and whose outside holds: signed or encrypted after the change. One in eight inputs. */
  make?(dice: Dice, change: (bytes: Buffer) => Buffer): Buffer;
}

/** A parser gave a value that it promised never to give. */
export class Broken extends Error {}

/** Contract for texts that go on to a table as JSON: no U+0000, no half of a surrogate pair. Walks Maps and objects too. */
export function checkTexts(value: unknown, depth = 0): void {
  if (depth > 100) throw new Broken('a value is deeper than the parser allows');
  if (typeof value === 'string') {
    if (value.includes('\0')) throw new Broken('a text holds U+0000, which no table can store');
    if (!value.isWellFormed()) throw new Broken('a text holds half a character, which no table can store');
    return;
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return;
  const parts = value instanceof Map ? [...value.entries()].flat() : Object.entries(value).flat();
  for (const part of parts) checkTexts(part, depth + 1);
}
