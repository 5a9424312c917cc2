import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireError } from '#wire';
import { ALLOWED_HELD_MB, fuzz, shorten, withinMemory } from './drive.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';
import { DER_WORDS } from './words.ts';

const INPUTS = 20_000;
const SEED = 20_260_130;

for (const [name, make] of Object.entries(TARGETS)) {
  test(`${name}: ${INPUTS} mutated inputs parse or are refused, seed ${SEED}`, (t) => {
    const target = make();
    const result = fuzz(target, { inputs: INPUTS, seed: SEED });
    const { failure, parsed, refused, ways, maxMs, maxMsBytes, peakMb, heldMb, seconds } = result;
    t.diagnostic(
      `${INPUTS} inputs, seed ${SEED}: ${parsed} parsed, ${refused} refused, ${ways} ways, slowest ${maxMs.toFixed(1)} ms for ${maxMsBytes} bytes, ${seconds.toFixed(1)} s`,
    );
    if (failure !== undefined) {
      const small = shorten(target, failure.input);
      assert.fail(`input ${failure.index}: ${failure.what}\n${small.toString('base64').slice(0, 4_000)}`);
    }
    assert.equal(parsed + refused, INPUTS);
    // A run that refuses all or nothing tests nothing.
    assert.ok(parsed >= INPUTS / 500 && refused >= INPUTS / 10, `${parsed} parsed, ${refused} refused`);
    assert.ok(ways >= 8, `${ways} ways`);
    assert.ok(
      withinMemory(target, result),
      `memory grew by ${peakMb.toFixed(0)} MB, ${heldMb.toFixed(1)} MB are held after the run`,
    );
  });
}

/** A target whose parser is made to break. */
const planted = (parse: (input: Buffer) => string): Target => ({
  ...{ name: 'planted', form: 'der', maxBytes: 4_096, words: DER_WORDS },
  ...{ seeds: [Buffer.from('30030201ff', 'hex'), Buffer.from('hello')], parse },
});

test('the driver sees a parser that throws something else, and keeps a short input', () => {
  const target = planted((input) => {
    if (input.includes(0x80)) throw new RangeError('not ours');
    throw new WireError('der', 'refused');
  });
  const { failure } = fuzz(target, { inputs: 5_000, seed: 1 });
  assert.match(failure?.what ?? '', /RangeError: not ours/);
  assert.equal(shorten(target, failure!.input).toString('hex'), '80');
});

test('the driver sees a parser that is slow, and one that keeps what it read', () => {
  const slow = planted((input) => {
    // Processor time is what counts; on a busy machine it passes more slowly than the clock's.
    const busy = () => process.cpuUsage().user + process.cpuUsage().system;
    for (const end = busy() + (input.length > 2_000 ? 60_000 : 0); busy() < end; );
    return 'slow';
  });
  assert.match(fuzz(slow, { inputs: 5_000, seed: 1 }).failure?.what ?? '', /ms for \d+ bytes/);
  const kept: Buffer[][] = [];
  const greedy = planted(() => {
    kept.push(Array.from({ length: 1_000 }, () => Buffer.alloc(0)));
    return 'kept';
  });
  assert.ok(fuzz(greedy, { inputs: 2_000, seed: 1 }).heldMb > ALLOWED_HELD_MB);
});

test('a seed gives the same inputs again', () => {
  const run = () => {
    const inputs: string[] = [];
    const before = (_index: number, input: Buffer) => void inputs.push(input.toString('base64'));
    fuzz(
      planted((input) => String(input.length % 7)),
      { inputs: 2_000, seed: 42, before },
    );
    return inputs;
  };
  const [first, second] = [run(), run()];
  assert.equal(first.length, 2_000);
  assert.ok(first.join() === second.join(), 'the inputs differ');
});
