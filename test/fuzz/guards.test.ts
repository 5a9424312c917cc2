import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Door, type DoorTable, readRequest, serveCaller } from '#guard';
import { encodeFrame, FrameReader } from '#seal';
import { Dice } from './dice.ts';
import { fuzz, shorten } from './drive.ts';
import { TABLES } from './guard-seeds.ts';
import { doorSeeds, guardDoorsTarget, guardFramesTarget } from './guards.ts';
import { mutate } from './mutate.ts';

/** Their messages hold others within, which asking for the next wrong member does not find. */
const NOT_REACHED = [
  ...['ledger export', 'ledger message', 'ledger note', 'ledger refound', 'ledger roster-change'],
  ...['sealer export', 'sealer message', 'sealer refound', 'sealer roster-change'],
];
const INPUTS = 50_000;
const SEED = 20_261_125;

test('nearly every door is reached by a message that it takes', (t) => {
  const { seeds, without } = doorSeeds();
  t.diagnostic(`${seeds.length} doors; without: ${without.join(', ')}`);
  assert.ok(seeds.length >= 55);
  assert.deepEqual(without.sort(), NOT_REACHED);
});

for (const make of [guardDoorsTarget, guardFramesTarget]) {
  const target = make();
  test(`${target.name}: ${INPUTS} mutated inputs are read or drop the peer, and nothing else happens`, (t) => {
    const { failure, parsed, refused, ways, maxMs, seconds } = fuzz(target, { inputs: INPUTS, seed: SEED });
    t.diagnostic(
      `${parsed} taken, ${refused} refused, ${ways} ways, slowest ${maxMs.toFixed(1)} ms, ${seconds.toFixed(1)} s`,
    );
    if (failure !== undefined)
      assert.fail(`${failure.what}\n${shorten(target, failure.input).toString().slice(0, 2_000)}`);
    assert.equal(parsed + refused, INPUTS);
    assert.ok(parsed > INPUTS / 100 && refused > INPUTS / 10, `${parsed} parsed`);
  });
}

test('over a socket: what a door does not take drops the peer without a byte, and hurts nobody else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'btz-z'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'sock');
  // The true doors and their readers; what they would do is left out.
  const still = (one: Door<string, unknown>) => ({ ...one, handle: () => ({ done: true }) });
  const doors: DoorTable<string> = Object.fromEntries(
    Object.entries(TABLES.ledger.doors).map(([type, one]) => [type, still(one)]),
  );
  const logger = { info() {}, warn() {}, error() {} };
  const served = await serveCaller({ path, caller: 'core', doors, logger });
  after(() => served.close());
  const witness = connect(path);
  const heard = new FrameReader();
  let answers = 0;
  witness.on('data', (part: Buffer) => {
    answers += heard.push(part).length;
  });
  const target = guardDoorsTarget();
  const dice = new Dice(SEED);
  const own = target.seeds
    .map((seed) => JSON.parse(seed.toString()) as { guard: string; id: number; type: string; body: unknown })
    .filter(({ guard, type }) => guard === 'ledger' && doors[type]!.from.includes('core'));
  let [taken, dropped] = [0, 0];
  for (let n = 0; n < 600; n += 1) {
    const { id, type, body } = dice.pick(own);
    const plain = Buffer.from(JSON.stringify({ id, type, body }));
    const bytes = dice.once(3) ? plain : mutate(plain, plain, dice, target);
    const frame = Buffer.concat([encodeFrame({}).subarray(0, 0), lengthOf(bytes), bytes]);
    const expected = takes(bytes, doors);
    const answer = await say(path, frame, expected);
    assert.equal(
      answer.length > 0,
      expected,
      `${expected ? 'no answer to' : 'an answer to'} ${bytes.toString().slice(0, 300)}`,
    );
    if (expected) taken += 1;
    else dropped += 1;
  }
  assert.ok(taken > 60 && dropped > 200, `${taken} taken, ${dropped} dropped`);
  witness.write(encodeFrame({ id: 1, type: 'status', body: {} }));
  for (let n = 0; n < 100 && answers === 0; n += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(answers, 1, 'a peer from before is served still');
  witness.destroy();
});

function lengthOf(bytes: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return head;
}

function takes(bytes: Buffer, doors: DoorTable<string>): boolean {
  try {
    const [message] = new FrameReader().push(Buffer.concat([lengthOf(bytes), bytes]));
    if (message === undefined) return false;
    readRequest(message, 'core', doors);
    return true;
  } catch {
    return false;
  }
}

/** What comes back until the guard hangs up, or until its answer is there. */
function say(path: string, frame: Buffer, waits: boolean): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path, () => socket.write(frame));
    socket.on('data', (part: Buffer) => {
      answer += part.toString();
      if (waits) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}
