import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WireError } from '#wire';
import { Dice } from './dice.ts';
import { bomb, mutate } from './mutate.ts';
import type { Target } from './target.ts';

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
  /** Told before each input is parsed; a watchdog needs it. */
  readonly before?: (index: number, input: Buffer) => void;
}

export interface FuzzResult {
  readonly name: string;
  readonly inputs: number;
  readonly seed: number;
  readonly parsed: number;
  readonly refused: number;
  /** Distinct ways that inputs took: refusals by their words, values by their shape. */
  readonly ways: number;
  /** Slowest input, milliseconds of processor time, and its size. */
  readonly maxMs: number;
  readonly maxMsBytes: number;
  /** Largest growth of resident memory while running, and of the heap after the last collection, MiB. */
  readonly peakMb: number;
  readonly heldMb: number;
  readonly seconds: number;
  readonly failure: { readonly what: string; readonly index: number; readonly input: Buffer } | undefined;
}

/** Time that an input of this many bytes may take: 20 ms and 0.4 µs a byte. */
export const allowedMs = (bytes: number): number => 20 + bytes * 0.0004;
const ALLOWED_PEAK_MB = 384;
export const ALLOWED_HELD_MB = 24;

/** Whether memory stayed within its bounds, for what the target's runtime keeps back. */
export function withinMemory(target: Target, { inputs, peakMb, heldMb }: FuzzResult): boolean {
  const back = target.keptBack ?? { peakMb: 0, heldMb: 0 };
  const thousands = inputs / 1_000;
  return peakMb <= ALLOWED_PEAK_MB + back.peakMb * thousands && heldMb <= ALLOWED_HELD_MB + back.heldMb * thousands;
}

const KEPT = 512;
const KEPT_BYTES = 16 * 1024;
const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Processor time of one parse in milliseconds: what else runs on the machine does not count. */
function processorMs(target: Target, input: Buffer): number {
  const before = process.cpuUsage();
  attempt(target, input);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

type Outcome = { readonly parsed: boolean; readonly way: string } | { readonly broken: string };

function attempt(target: Target, input: Buffer): Outcome {
  try {
    return { parsed: true, way: target.parse(input) };
  } catch (error) {
    if (error instanceof WireError) return { parsed: false, way: `${error.code} ${error.message}` };
    return { broken: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/**
 * Feeds `inputs` mutated inputs to a parser and stops at the first that breaks its contract. Inputs that take a new way are
 * kept and mutated further.
 */
export function fuzz(target: Target, options: FuzzOptions): FuzzResult {
  const dice = new Dice(options.seed);
  const corpus = [...target.seeds];
  const ways = new Set<string>();
  let [parsed, refused, maxMs, maxMsBytes, peak] = [0, 0, 0, 0, 0];
  let failure: FuzzResult['failure'];
  let made = 0;
  const next = (): Buffer => {
    made += 1;
    if (made <= target.seeds.length) return target.seeds[made - 1]!;
    if (dice.once(400)) return bomb(dice, target);
    const change = (bytes: Buffer) => mutate(bytes, dice.pick(corpus), dice, target);
    if (target.make !== undefined && dice.once(8)) return target.make(dice, change);
    return change(dice.pick(corpus));
  };
  for (const seed of target.seeds) attempt(target, seed);
  collect();
  const [heap, resident] = [process.memoryUsage().heapUsed, process.memoryUsage.rss()];
  const startedAt = performance.now();
  for (let index = 0; index < options.inputs; index += 1) {
    const input = next();
    options.before?.(index, input);
    const at = performance.now();
    const outcome = attempt(target, input);
    let ms = performance.now() - at;
    if ('broken' in outcome) {
      failure = { what: outcome.broken, index, input };
      break;
    }
    if (outcome.parsed) parsed += 1;
    else refused += 1;
    if (!ways.has(outcome.way)) {
      ways.add(outcome.way);
      if (input.length <= KEPT_BYTES) {
        if (corpus.length < KEPT) corpus.push(input);
        else corpus[target.seeds.length + dice.below(KEPT - target.seeds.length)] = input;
      }
    }
    // Seen slow: measured again in processor time, and the best of three counts.
    if (ms > maxMs) {
      ms = Math.min(...[1, 2, 3].map(() => processorMs(target, input)));
      if (ms > allowedMs(input.length)) {
        failure = { what: `${ms.toFixed(0)} ms for ${input.length} bytes`, index, input };
        break;
      }
      if (ms > maxMs) [maxMs, maxMsBytes] = [ms, input.length];
    }
    if (index % 1_000 === 0) peak = Math.max(peak, process.memoryUsage.rss() - resident);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  collect();
  const held = (process.memoryUsage().heapUsed - heap) / MIB;
  return {
    ...{ name: target.name, inputs: parsed + refused, seed: options.seed, parsed, refused, ways: ways.size },
    ...{ maxMs, maxMsBytes, peakMb: peak / MIB, heldMb: held, seconds, failure },
  };
}

/** Smaller input that fails in the same words, by leaving out pieces; for the report. */
export function shorten(target: Target, input: Buffer): Buffer {
  const words = (bytes: Buffer) => {
    const outcome = attempt(target, bytes);
    return 'broken' in outcome ? outcome.broken.split('\n')[0] : undefined;
  };
  const failing = words(input);
  if (failing === undefined) return input;
  let best = input;
  const endsAt = performance.now() + 5_000;
  for (let piece = Math.ceil(input.length / 2); piece >= 1; piece = Math.floor(piece / 2)) {
    for (let at = 0; at < best.length && performance.now() < endsAt; ) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)]);
      if (words(shorter) === failing) best = shorter;
      else at += piece;
    }
  }
  return best;
}
