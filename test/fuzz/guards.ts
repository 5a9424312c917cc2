import { isDeepStrictEqual } from 'node:util';
import { BartizanError } from '#base';
import { readRequest } from '#guard';
import { encodeFrame, FRAME_BYTES, FrameReader } from '#seal';
import { WireError } from '#wire';
import { Dice } from './dice.ts';
import { bodyFor, type GuardName, TABLES } from './guard-seeds.ts';
import { Broken, type Target } from './target.ts';
import { texts } from './words.ts';

const WORDS = [
  ...texts(
    '{"id":1,',
    '"type":"',
    '"body":{',
    '"from":"',
    '"guard":"ledger"',
    '"__proto__":{}',
    '"constructor"',
    'null',
    '[]',
    '{}',
  ),
  ...texts(
    '-1',
    '1e999',
    '1.5',
    '9007199254740993',
    '"\\ud800"',
    '"\\u0000"',
    '"toString"',
    '"hasOwnProperty":1,',
    '"op":"reveal"',
  ),
  ...texts('"length":4294967295', '"../../etc/passwd"', 'amber-otter-1001', 'admin-ada', '":"', '","', '}]}'),
];

/** What a guard's door makes of one message: `from` says through whose socket it came. */
interface Sent {
  readonly guard: GuardName;
  readonly from: string;
}

/** Every door has a message that it takes; found anew with each of these. */
export function doorSeeds(): { seeds: Buffer[]; without: string[] } {
  const dice = new Dice(7);
  const seeds: Buffer[] = [];
  const without: string[] = [];
  for (const [guard, { doors }] of Object.entries(TABLES))
    for (const [type, { from, parse }] of Object.entries(doors)) {
      let body: unknown;
      for (let tries = 0; tries < 8 && body === undefined; tries += 1) body = bodyFor(parse, dice);
      if (body === undefined) without.push(`${guard} ${type}`);
      else seeds.push(Buffer.from(JSON.stringify({ guard, from: from[0], id: 1, type, body })));
    }
  return { seeds, without };
}

/** A message through one caller's socket of a guard: taken by its door, or the peer is dropped. Never anything else. */
export function guardDoorsTarget(): Target {
  const { seeds } = doorSeeds();
  return {
    ...{ name: 'guard-doors', form: 'json', maxBytes: 64 * 1024, words: WORDS, seeds },
    make: (dice, change) => {
      // Odd inside, sound JSON outside.
      const seed = JSON.parse(dice.pick(seeds).toString()) as Record<string, unknown>;
      if (!dice.once(8)) bend(seed, dice);
      const bytes = Buffer.from(JSON.stringify(seed));
      return dice.once(4) ? change(bytes) : bytes;
    },
    parse: (input) => {
      const [frame] = read([Buffer.concat([head(input.length), input])]);
      const { guard, from, ...message } = frame as unknown as Sent & Record<string, unknown>;
      const table = Object.hasOwn(TABLES, guard) ? TABLES[guard] : undefined;
      if (table === undefined || !(table.callers as readonly string[]).includes(from))
        throw new WireError('json', 'no such socket');
      let taken: ReturnType<typeof readRequest>;
      try {
        taken = readRequest(message, from, table.doors);
      } catch (error) {
        // All that a guard's own readers throw; a TypeError here would be a door that reads what it has not looked at.
        if (error instanceof BartizanError) throw new WireError('json', error.message);
        throw error;
      }
      const again = taken.one.parse(JSON.parse(JSON.stringify(taken.parsed)), '');
      if (!isDeepStrictEqual(again, taken.parsed)) throw new Broken('what was read is read differently again');
      for (const name of Object.keys(taken.parsed as object))
        if (!Object.hasOwn(message['body'] as object, name)) throw new Broken('a member that nobody sent');
      return `${guard} ${from} ${String(message['type'])}`;
    },
  };
}

/** The byte stream of a socket: however it is cut, the same messages come out, or it is refused at the same place. */
export function guardFramesTarget(): Target {
  const frames = [
    { id: 1, type: 'status', body: {} },
    { id: 2, ok: {} },
    { id: 3, type: 'tail', body: { after: 0, waitMs: 5 } },
  ].map(encodeFrame);
  return {
    ...{
      name: 'guard-frames',
      form: 'json',
      maxBytes: 64 * 1024,
      words: [...WORDS, head(0), head(1), head(2), head(FRAME_BYTES), head(FRAME_BYTES + 1), Buffer.from([0, 0])],
    },
    seeds: [...frames, Buffer.concat(frames), Buffer.concat([...frames, frames[0]!.subarray(0, 7)])],
    parse: (input) => {
      const whole = outcome([input]);
      const cuts: Buffer[] = [];
      for (let at = 0, n = 0; at < input.length; n += 1) {
        const size = 1 + ((input[(at * 7 + n) % input.length]! * 31 + n) % 61);
        cuts.push(input.subarray(at, at + size));
        at += size;
      }
      const cut = outcome(cuts);
      if (
        !isDeepStrictEqual(whole.messages, cut.messages) &&
        !(whole.refused && cut.messages.length >= whole.messages.length)
      )
        throw new Broken('cutting the stream changes what is read');
      if (whole.refused !== cut.refused) throw new Broken('cutting the stream changes whether it is refused');
      if (whole.refused) throw new WireError('json', 'refused');
      const members = [...new Set(whole.messages.map((one) => Object.keys(one).length))].sort().join();
      return `${Math.min(9, whole.messages.length)} ${members} ${Math.floor(Math.log2(input.length + 1))}`;
    },
  };
}

function outcome(chunks: readonly Buffer[]): { messages: Record<string, unknown>[]; refused: boolean } {
  const reader = new FrameReader();
  const messages: Record<string, unknown>[] = [];
  try {
    for (const chunk of chunks) messages.push(...reader.push(chunk));
    return { messages, refused: false };
  } catch (error) {
    if (!(error instanceof BartizanError)) throw error;
    return { messages, refused: true };
  }
}

function read(chunks: readonly Buffer[]): Record<string, unknown>[] {
  const { messages, refused } = outcome(chunks);
  if (refused || messages.length !== 1) throw new WireError('json', 'no one message');
  return messages;
}

function head(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

const ODD: readonly unknown[] = [
  null,
  -1,
  0,
  1.5,
  2 ** 53,
  '',
  'x',
  '\u0000',
  '\ud800',
  [],
  {},
  [[]],
  true,
  'constructor',
  '__proto__',
];

/** Changes one to three members somewhere inside. */
function bend(value: unknown, dice: Dice): void {
  for (let n = dice.size(3); n > 0; n -= 1) {
    let at = value as Record<string, unknown>;
    for (let depth = 0; depth < 6; depth += 1) {
      const names = Object.keys(at);
      const name = names[dice.below(names.length)];
      if (name === undefined) break;
      const inner = at[name];
      if (typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0 && !dice.once(4)) {
        at = inner as Record<string, unknown>;
        continue;
      }
      const act = dice.below(5);
      if (act === 0) delete at[name];
      else if (act === 1) at[`${name}x`] = inner;
      else if (act === 2 && typeof inner === 'string')
        at[name] = inner.slice(0, dice.below(inner.length + 1)) + String.fromCharCode(dice.below(0x1_0000)) + inner;
      else at[name] = dice.pick(ODD);
      break;
    }
  }
}
