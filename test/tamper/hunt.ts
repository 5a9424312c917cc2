import { verifyLog } from '../../verify/log.ts';
import { type Case, makeCase, sourceOf } from './logs.ts';
import { random, TAMPERINGS } from './tamper.ts';

export interface Hunt {
  readonly tamperings: number;
  /** How many of each kind were made. */
  readonly kinds: Readonly<Record<string, number>>;
  /** What the verifier took for whole. */
  readonly missed: readonly string[];
}

/** Entries of the logs, of the older checkpoint and of the cosigned one: at the edges of tiles, and between. */
const SIZES = [
  [1, 1, 1],
  [2, 0, 1],
  [3, 1, 3],
  [255, 10, 254],
  [256, 256, 256],
  [257, 1, 256],
  [300, 290, 300],
  [512, 256, 511],
  [700, 333, 700],
] as const;

export const cases = (): Case[] => SIZES.map(([size, older, vouched]) => makeCase(size, older, vouched));

/** Tampers with logs `count` times, each kind in turn, and tells which of it the verifier did not find. */
export async function hunt(count: number, seed: number): Promise<Hunt> {
  const below = random(seed);
  const logs = cases();
  const names = Object.keys(TAMPERINGS);
  const kinds: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
  const missed: string[] = [];
  for (let made = 0, turn = 0; made < count; turn += 1) {
    const name = names[turn % names.length]!;
    const one = logs[below(logs.length)]!;
    const done = TAMPERINGS[name]!(one, below);
    if (done === undefined) continue;
    made += 1;
    kinds[name]! += 1;
    const report = await verifyLog(sourceOf(done.files), one.trust);
    if (report.ok) missed.push(`${name} of a log of ${one.entries.length}: ${done.what} (seed ${seed})`);
  }
  return { tamperings: count, kinds, missed };
}
