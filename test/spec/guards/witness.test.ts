import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Sealer } from '#guard';
import {
  challengeOf,
  encodeFrame,
  FrameReader,
  type Grant,
  type GuardClient,
  guardClient,
  type Receipt,
  type SealedRow,
  signReceipt,
} from '#seal';
import { loadKey } from '../../../src/guard/keys.ts';
import { Persons } from '../../../src/guard/persons.ts';
import { ADMINS, Guards, newBrowser, ORG, ORIGIN, person, readAnswer, SILENT, touch } from './fixture.ts';

// An owned ledger, with the true one's key or without, in front of an honest sealer: whatever it answers, the sealer opens
// nothing that the touch did not ask for, and stays up.
const guards = await Guards.start({ perTouch: 5, perDay: 100, orgPerDay: 1_000 });
const values = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [person(n), `+4477009000${10 + n}`]));
const rows = await guards.settle(values);
const honestLine = guards.client('ledger', 'sealer');
const signing = loadKey(join(guards.folder, 'ledger'), 'receipts', 'ed25519');

type Answer = { inner: { subject: string; inner: string }[]; receipt: Receipt };
type Lie = (type: string, body: { grant: Grant; rows: SealedRow[] }, honest: () => Promise<Answer>) => unknown;
let lie: Lie = () => ({});
/** Bytes instead of an answer, or what to do with the connection. */
let raw: ((socket: Socket) => void) | undefined;
const path = join(guards.folder, 'run', 'liar');
const liar: Server = createServer((socket) => {
  const reader = new FrameReader();
  socket.on('error', () => {});
  socket.on('data', (part: Buffer) => {
    for (const { id, type, body } of reader.push(part) as { id: number; type: string; body: Parameters<Lie>[1] }[]) {
      if (raw !== undefined && type === 'open') {
        raw(socket);
        continue;
      }
      if (type !== 'open' && type !== 'spent') {
        const given = type === 'note' ? Promise.resolve({}) : honestLine.call(type, body);
        given.then(
          (ok) => socket.write(encodeFrame({ id, ok })),
          () => socket.destroy(),
        );
        continue;
      }
      const honest = () => honestLine.call<Answer>('open', body);
      void Promise.resolve(lie(type, body, honest)).then((ok) => socket.write(encodeFrame({ id, ok })));
    }
  });
});
await new Promise<void>((done) => liar.listen(path, done));
const clients: GuardClient[] = [];
after(async () => {
  for (const one of clients) one.close();
  liar.close();
  await guards.close();
  rmSync(path, { force: true });
});

/** A sealer with its own memory that believes it speaks with the ledger. */
function sealer(perDay = 100): Sealer {
  const ledger = guardClient(path, { name: 'ledger', timeoutMs: 400 });
  clients.push(ledger);
  const { caps, clock, keys } = guards;
  return new Sealer({
    ...{
      org: ORG,
      state: join(guards.folder, 'sealer'),
      origin: ORIGIN,
      caps: { ...caps, perDay },
      clock,
      logger: SILENT,
    },
    ...{ ledgerKey: keys.ledger, releaseKey: keys.release, ledger },
  });
}

let who = 0;
/** Asks a sealer for these people with a true touch; how many records came. */
async function records(at: Sealer, asked: readonly number[], sent = asked, by = who++ % 3): Promise<number | string> {
  const browser = newBrowser();
  const grant = guards.grant(browser, asked.map(person), { admin: ADMINS[by]! });
  try {
    const answer = await at.reveal(
      grant,
      touch(guards.passkey(by), grant),
      sent.map((n) => rows[n]!),
    );
    return Object.keys(readAnswer(browser, answer)).length;
  } catch (error) {
    return (error as { code?: string }).code ?? `broken: ${String(error)}`;
  }
}

const spent = { time: Date.now(), effects: [], recent: [] };
const resigned = ({ signature: _, ...receipt }: Receipt, more: Partial<Receipt>) =>
  signReceipt(signing, { ...receipt, ...more });
const persons = new Persons({
  ...{ folder: join(guards.folder, 'ledger', 'locks'), org: ORG, rows: guards.ledger.gate.state.rows },
});
/** Opens rows that no grant names, as whoever owns the ledger's host can: the honest ledger's own code, asked row by row. */
async function innerOf(subjects: readonly number[]): Promise<Answer['inner']> {
  const inner: Answer['inner'] = [];
  for (const n of subjects) {
    inner.push({ subject: person(n), inner: (await persons.open(rows[n]!))!.toString('base64url') });
  }
  return inner;
}
let recorded: Receipt;

test('with an honest answer the sealer opens what was asked: the lies below are what stops it', async () => {
  lie = (type, _, honest) => (type === 'spent' ? spent : honest());
  assert.equal(await records(sealer(), [0, 1]), 2);
  lie = async (type, _, honest) => {
    if (type === 'spent') return spent;
    const answer = await honest();
    recorded = answer.receipt;
    return answer;
  };
  assert.equal(await records(sealer(), [0]), 1);
});

const otherKey = generateKeyPairSync('ed25519').privateKey;
const lies: readonly [string, (answer: Answer, body: { grant: Grant }) => unknown][] = [
  [
    'a receipt by another key',
    ({ inner, receipt: { signature: _, ...body } }) => ({ inner, receipt: signReceipt(otherKey, body) }),
  ],
  [
    'a receipt of another grant',
    ({ inner, receipt }) => ({ inner, receipt: resigned(receipt, { grant: recorded.grant }) }),
  ],
  [
    'a receipt over another hash',
    ({ inner, receipt }) => ({ inner, receipt: resigned(receipt, { grantSha256: recorded.grantSha256 }) }),
  ],
  ['a receipt that was used before', ({ inner }) => ({ inner, receipt: recorded })],
  [
    'a receipt for fewer people than it opens',
    ({ inner, receipt }) => ({ inner, receipt: resigned(receipt, { opened: receipt.opened.slice(1) }) }),
  ],
  ['a receipt for more people than it opens', ({ inner, receipt }) => ({ inner: inner.slice(1), receipt })],
  [
    'a receipt for other people',
    ({ inner, receipt }) => ({ inner, receipt: resigned(receipt, { opened: [person(9), person(10)] }) }),
  ],
  [
    'one person twice',
    ({ inner, receipt }) => ({
      inner: [inner[0], inner[0]],
      receipt: resigned(receipt, { opened: [inner[0]!.subject, inner[0]!.subject] }),
    }),
  ],
  ['a receipt without a leaf', ({ inner, receipt }) => ({ inner, receipt: resigned(receipt, { leaf: -1 }) })],
  ['a changed receipt', ({ inner, receipt }) => ({ inner, receipt: { ...receipt, leaf: receipt.leaf + 1 } })],
  ['no receipt', ({ inner }) => ({ inner })],
  ['a receipt that is a text', ({ inner }) => ({ inner, receipt: 'yes' })],
  ['no layers', ({ receipt }) => ({ receipt })],
  ['layers that are numbers', ({ receipt }) => ({ inner: [1, 2], receipt })],
  ['nothing', () => ({})],
  ['an extra member', (answer) => ({ ...answer, more: true })],
  [
    'a prototype',
    ({ inner, receipt }) =>
      JSON.parse(`{"__proto__":{},"inner":${JSON.stringify(inner)},"receipt":${JSON.stringify(receipt)}}`),
  ],
];
for (const [name, change] of lies) {
  test(`${name}: nothing is opened`, async () => {
    lie = async (type, body, honest) => (type === 'spent' ? spent : change(await honest(), body));
    assert.equal(await records(sealer(), [2, 3]), 'refused');
  });
}

test('layers of other people’s rows, with true receipts, open nothing beyond the touch', async () => {
  const many = await innerOf([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  lie = (type, { grant }) =>
    type === 'spent'
      ? spent
      : {
          inner: many,
          receipt: signReceipt(signing, {
            ...{ v: 1, grant: grant.id, leaf: 1, time: Date.now(), opened: many.map((one) => one.subject) },
            grantSha256: challengeOf(grant).toString('base64url'),
          }),
        };
  assert.equal(await records(sealer(), [0]), 'refused');
  // Rows that the touch does not name are refused before the ledger is asked at all.
  assert.equal(await records(sealer(), [0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), 'refused');
  assert.equal(await records(sealer(), [0, 1], [0, 0]), 'refused');
});

test('layers that do not open are left out, and hurt nobody', async () => {
  const one = (await innerOf([0]))[0]!;
  lie = async (type, _, honest) => {
    if (type === 'spent') return spent;
    const { receipt, inner } = await honest();
    return {
      inner: [
        { ...one, subject: inner[0]!.subject },
        { ...inner[1]!, inner: randomBytes(176).toString('base64url') },
      ],
      receipt,
    };
  };
  assert.equal(await records(sealer(), [4, 5]), 0);
});

test('a ledger that lies about what was spent frees nothing at the sealer', async () => {
  const day = 86_400_000;
  const charge = (count: number, at: number) => ({ e: 'charge', admin: ADMINS[0], field: 'number', count, at });
  const used = (told: object, open: number) => {
    const at = sealer(10);
    lie = (type, body) => (type === 'spent' ? told : honestly(body));
    return (async () => {
      let got = 0;
      for (let n = 0; n < open; n += 1) {
        const one = await records(at, [n % 10], [n % 10], 0);
        if (typeof one === 'number') got += 1;
      }
      return got;
    })();
  };
  // The owned ledger itself meters nothing: only the sealer's own meter is left, at ten a day.
  const honestly = async (body: { grant: Grant; rows: SealedRow[] }) => {
    const inner = await innerOf([Number(body.grant.subjects[0]!.split('-').at(-1)) - 1000]);
    const receipt = signReceipt(signing, {
      ...{ v: 1, grant: body.grant.id, leaf: 1, time: Date.now(), opened: inner.map((one) => one.subject) },
      grantSha256: challengeOf(body.grant).toString('base64url'),
    });
    return { inner, receipt };
  };
  const now = Date.now();
  assert.equal(await used({ time: now, effects: [], recent: [] }, 14), 10, 'its own meter');
  assert.equal(await used({ time: now, effects: [charge(6, now)], recent: [] }, 14), 4, 'what was spent counts');
  assert.equal(
    await used({ time: now, effects: [charge(0, now + 3 * day)], recent: [] }, 14),
    10,
    'a charge of the future begins no new day',
  );
  assert.equal(
    await used({ time: now + 3 * day, effects: [], recent: [] }, 14),
    0,
    'a clock that runs ahead closes, and frees nothing',
  );
  assert.equal(
    await used({ time: now, effects: [charge(-100, now)], recent: [] }, 14),
    0,
    'a charge that gives back is no answer',
  );
  for (const garbage of [
    {},
    { time: 'x', effects: [], recent: [] },
    { time: now, effects: [charge(1.5, now)], recent: [] },
    { time: now, effects: {}, recent: [] },
  ])
    assert.equal(await used(garbage, 2), 0);
  const unlocked = {
    time: now,
    effects: [
      { e: 'unlock', scope: 'admin', target: ADMINS[0] },
      { e: 'key', key: {} },
    ],
    recent: [],
  };
  assert.equal(await used(unlocked, 2), 2, 'what only signatures may do is not taken from it, and stops nothing');
});

for (const [name, act] of [
  ['hangs up', (socket) => socket.destroy()],
  ['breaks off in the middle of a frame', (socket) => socket.end(Buffer.from([0, 0, 1]))],
  ['answers garbage', (socket) => socket.write(randomBytes(4_096))],
  ['answers a frame without end', (socket) => socket.write(Buffer.from([0, 15, 0, 0, 0x7b]))],
  ['answers an array', (socket) => socket.write(Buffer.from([0, 0, 0, 2, 0x5b, 0x5d]))],
  ['says nothing', () => {}],
  ['answers another request', (socket) => socket.write(encodeFrame({ id: 4_000_000, ok: {} }))],
] as const satisfies readonly (readonly [string, (socket: Socket) => void])[]) {
  test(`a ledger that ${name}: nothing is opened, the sealer stays up, and works with the next honest one`, async () => {
    const at = sealer();
    lie = (type, _, honest) => (type === 'spent' ? spent : honest());
    raw = act;
    const refused = await records(at, [6]);
    raw = undefined;
    assert.ok(['dropped', 'timeout', 'unavailable'].includes(String(refused)), String(refused));
    assert.equal(await records(at, [7]), 1);
  });
}
