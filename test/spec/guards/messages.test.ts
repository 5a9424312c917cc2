import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { canonicalJson, fromBase64url, type Json, toBase64url, uuidv7 } from '#base';
import {
  type Assertion,
  type AutoSend,
  type GuardClient,
  GuardError,
  hpkeOpen,
  messageHashes,
  type Notice,
  type Ordered,
  type Receipt,
  type SealedRow,
  type Send,
  signAutoSend,
  verifyReceipt,
} from '#seal';
import { newPasskey } from '#sim';
import { ADMINS, Guards, ORG, person, touch } from './fixture.ts';

let guards: Guards;
const people = Array.from({ length: 30 }, (_, n) => person(n));
const number = (n: number) => `+44770090${String(100 + n).padStart(4, '0')}`;
let rows: SealedRow[];
let courier: GuardClient;

before(async () => {
  guards = await Guards.start();
  courier = guards.client('sealer', 'courier');
  rows = await guards.settle(Object.fromEntries(people.map((one, n) => [one, number(n)])));
});
after(() => guards.close());

const REFERENCE = { reference: 'INC-1' };

function send(to: string, more: Partial<Send> = {}): Send {
  return {
    ...{ v: 1, op: 'send', id: uuidv7(), admin: ADMINS[0], channel: 'sms', topic: 'lost-phone', subject: to },
    ...messageHashes('lost-phone', ORG, REFERENCE),
    notAfter: guards.clock() + 3_600_000,
    ...more,
  };
}

function notice(subjects: readonly string[], more: Partial<Notice> = {}): Notice {
  return {
    ...{ v: 1, op: 'notice', id: uuidv7(), channel: 'sms', topic: 'lost-phone', variables: REFERENCE, subjects },
    ...messageHashes('lost-phone', ORG, REFERENCE),
    ...{ requester: ADMINS[0], purpose: 'a test of notices', notAfter: guards.clock() + 3_600_000 },
    ...more,
  };
}

interface Answer {
  readonly enc: string;
  readonly ct: string;
  readonly receipt: Receipt;
}

/** As courier asks, and opens what it gets. */
async function deliver(message: Ordered, assertions: readonly Assertion[], given: readonly SealedRow[]) {
  const answer = await courier.call<Answer>('message', { message, assertions, rows: given });
  assert.ok(verifyReceipt(guards.keys.ledger, answer.receipt));
  const sealed = Buffer.concat([fromBase64url(answer.enc), fromBase64url(answer.ct)]);
  const aad = Buffer.from(canonicalJson(answer.receipt as unknown as Json));
  const plaintext = hpkeOpen(guards.courier.key, sealed, { info: 'bartizan courier v1', aad });
  return JSON.parse(plaintext.toString()) as { values: Record<string, string>; silent: string[] };
}

const rowOf = (handle: string) => rows.filter((row) => row.subject === handle);
const refusedWith = (code: string) => (error: unknown) => error instanceof GuardError && error.code === code;

test('one touch opens one address to courier’s key, and the log says why before it does', async () => {
  const message = send(people[0]!);
  const { values, silent } = await deliver(message, [touch(guards.passkey(), message)], rowOf(people[0]!));
  assert.deepEqual(values, { [people[0]!]: number(0) });
  assert.deepEqual(silent, []);
  const { entries } = await guards
    .client('ledger', 'core')
    .call<{ entries: { kind: string; actor: string; subject: string; detail: Record<string, unknown> }[] }>('tail', {
      after: 0,
      waitMs: 0,
    });
  const entry = entries.findLast((one) => one.kind === 'message.opened')!;
  const { purpose, message: id, template, subjects } = entry.detail;
  assert.deepEqual([entry.actor, entry.subject], [ADMINS[0], people[0]]);
  assert.deepEqual([purpose, id, template, subjects], ['lost-phone', message.id, message.template, [people[0]]]);
});

test('an owned courier opens nothing that nobody signed for', async () => {
  const message = send(people[1]!);
  const signed = touch(guards.passkey(), message);
  const stranger = newPasskey({ admin: ADMINS[0] });
  const other = send(people[1]!);
  const attempts: [string, Ordered, Assertion[], SealedRow[], string][] = [
    ['without a touch', message, [], rowOf(people[1]!), 'refused'],
    ['with a key of its own', message, [touch(stranger, message)], rowOf(people[1]!), 'refused'],
    ['with the touch for another message', other, [signed], rowOf(people[1]!), 'refused'],
    ['for somebody else', message, [signed], rowOf(people[2]!), 'refused'],
    ['for somebody else besides', message, [signed], [...rowOf(people[1]!), ...rowOf(people[2]!)], 'refused'],
    ['in another admin’s name', { ...message, admin: ADMINS[1] }, [signed], rowOf(people[1]!), 'refused'],
    ['for ever', send(people[1]!, { notAfter: guards.clock() + 90_000_000 }), [], rowOf(people[1]!), 'refused'],
    ['too late', send(people[1]!, { notAfter: guards.clock() - 1 }), [signed], rowOf(people[1]!), 'expired'],
    ['a list that one person signed', notice(people.slice(0, 3)), [], rowOf(people[1]!), 'two-people'],
  ];
  for (const [what, ordered, assertions, given, code] of attempts) {
    const fixed = what === 'for ever' ? [touch(guards.passkey(), ordered as Send)] : assertions;
    await assert.rejects(deliver(ordered, fixed, given), refusedWith(code), what);
  }
  const list = notice(people.slice(0, 3));
  const twice = [touch(guards.passkey(), list), touch(guards.passkey(), list)];
  await assert.rejects(deliver(list, twice, rowOf(people[1]!)), refusedWith('two-people'));
  // The same touch says nothing to glass's door, and a reveal's touch nothing to courier's.
  await assert.rejects(
    guards.client('sealer', 'courier').call('reveal', { grant: message, assertion: signed, rows: rowOf(people[1]!) }),
    refusedWith('dropped'),
  );
});

test('a notice opens for exactly the people whom two signed for, part by part', async () => {
  const list = notice(people.slice(0, 20));
  const signed = [0, 1].map((n) => touch(guards.passkey(n), list));
  const part = rows.filter((row) => people.slice(0, 10).includes(row.subject));
  assert.equal(Object.keys((await deliver(list, signed, part)).values).length, 10);
  const rest = rows.filter((row) => people.slice(10, 20).includes(row.subject));
  assert.equal(Object.keys((await deliver(list, signed, rest)).values).length, 10);
  await assert.rejects(deliver(list, signed, rowOf(people[20]!)), refusedWith('refused'));
  await assert.rejects(deliver({ ...list, subjects: people.slice(0, 21) }, signed, rowOf(people[20]!)), GuardError);
  await guards.client('ledger', 'core').call('lock', { scope: 'admin', target: ADMINS[1], reason: 'a test' });
  await assert.rejects(deliver(list, signed, rowOf(people[0]!)), refusedWith('locked'));
  await guards.lift('admin', ADMINS[1], [0, 2]);
});

test('decoys look like the others to everybody but courier, who is told to stay silent', async () => {
  const decoy = people[25]!;
  await guards.client('ledger', 'intake').call('decoys', { handles: [decoy] });
  const list = notice([people[24]!, decoy]);
  const signed = [0, 1].map((n) => touch(guards.passkey(n), list));
  const given = [...rowOf(people[24]!), ...rowOf(decoy)];
  const { values, silent } = await deliver(list, signed, given);
  assert.equal(Object.keys(values).length, 2);
  assert.deepEqual(silent, [decoy]);
  const span = { from: 0, to: guards.clock() + 1 };
  const seen = await Promise.all([
    guards.client('ledger', 'core').call('tail', { after: 0, waitMs: 0 }),
    guards.client('ledger', 'console').call('exposure', span),
    guards.client('ledger', 'console').call('status', {}),
    guards.client('sealer', 'console').call('status', {}),
  ]);
  const [tail] = seen as unknown as [{ entries: { kind: string; detail: { subjects?: string[] } }[] }];
  const opened = tail.entries.findLast((one) => one.kind === 'message.opened')!;
  assert.deepEqual(
    opened.detail.subjects,
    given.map((row) => row.subject),
  );
  // No answer holds a word that is there for the decoy and not for the other.
  for (const answer of seen) {
    const text = JSON.stringify(answer);
    const around = (handle: string) => text.split(handle).length - 1;
    assert.equal(around(decoy), around(people[24]!));
    assert.doesNotMatch(text, /silent/);
  }
});

test('a rule’s message needs core’s signature, says one of few things, and there are five an hour', async () => {
  const variables = { date: '2026-11-25' };
  const body = (n: number): Omit<AutoSend, 'signature'> => ({
    ...{ v: 1, op: 'auto-send', id: uuidv7(), rule: 'number-held', channel: 'sms', topic: 'number-change' },
    ...messageHashes('number-change', ORG, variables),
    ...{ variables, subject: people[n]!, notAfter: guards.clock() + 3_600_000 },
  });
  const own = signAutoSend(guards.core.privateKey, body(0));
  assert.equal(Object.keys((await deliver(own, [], rowOf(people[0]!))).values).length, 1);
  await assert.rejects(deliver({ ...own, subject: people[1]! }, [], rowOf(people[1]!)), refusedWith('refused'));
  await assert.rejects(
    deliver({ ...own, topic: 'lost-phone' } as unknown as AutoSend, [], rowOf(people[0]!)),
    GuardError,
  );
  for (let n = 1; n < 5; n += 1) await deliver(signAutoSend(guards.core.privateKey, body(n)), [], rowOf(people[n]!));
  const sixth = signAutoSend(guards.core.privateKey, body(6));
  await assert.rejects(deliver(sixth, [], rowOf(people[6]!)), refusedWith('cap'));
});

test('the directory’s lock stops courier', async () => {
  const message = send(people[3]!);
  const signed = [touch(guards.passkey(), message)];
  await guards.client('ledger', 'core').call('lock', { scope: 'directory', target: '', reason: 'a test' });
  await assert.rejects(deliver(message, signed, rowOf(people[3]!)), refusedWith('locked'));
  await guards.lift('directory');
  assert.equal(Object.keys((await deliver(message, signed, rowOf(people[3]!))).values).length, 1);
});

test('sixty an hour for all admins together, at each guard alone, in parallel, and over restarts of both', async () => {
  const own = await Guards.start();
  try {
    const [row] = await own.settle({ [people[0]!]: number(0) });
    let client = own.client('sealer', 'courier');
    const ask = async (n: number) => {
      const message = send(people[0]!, { admin: ADMINS[n % 3]! });
      await client.call('message', {
        ...{ message, assertions: [touch(own.passkey(n % 3), message)], rows: [row] },
      });
    };
    const tries = await Promise.allSettled(Array.from({ length: 80 }, (_, n) => ask(n)));
    assert.equal(tries.filter((one) => one.status === 'fulfilled').length, 60);
    await own.stopSealer();
    await own.startSealer();
    client = own.client('sealer', 'courier');
    await assert.rejects(ask(0), refusedWith('cap'));
    // The ledger holds it alone: a sealer that forgot everything is no help.
    await own.stopLedger();
    await own.startLedger();
    const message = send(people[0]!);
    await assert.rejects(
      own.client('ledger', 'sealer').call('message', {
        ...{ message, assertions: [touch(own.passkey(), message)], rows: [row] },
      }),
      refusedWith('cap'),
    );
    await own.stopSealer();
    await own.startSealer();
    own.now = Date.now() + 3_600_001;
    const late = send(people[0]!, { notAfter: own.now + 60_000 });
    await own.client('sealer', 'courier').call('message', {
      ...{ message: late, assertions: [touch(own.passkey(), late)], rows: [row] },
    });
  } finally {
    await own.close();
  }
});

test('one message is opened eight times at most, and an id stands for one message only', async () => {
  const message = send(people[5]!);
  const signed = [touch(guards.passkey(), message)];
  for (let n = 0; n < 8; n += 1) await deliver(message, signed, rowOf(people[5]!));
  await assert.rejects(deliver(message, signed, rowOf(people[5]!)), refusedWith('used'));
  const again = send(people[6]!, { id: message.id });
  await assert.rejects(deliver(again, [touch(guards.passkey(), again)], rowOf(people[6]!)), refusedWith('used'));
});

test('a ledger that says a notice was accepted before makes the sealer open nothing', async () => {
  const own = await Guards.start();
  try {
    const subjects = [people[0]!, people[1]!].sort();
    const given = await own.settle({ [subjects[0]!]: number(0) });
    const list = notice(subjects);
    const sha256 = toBase64url(
      createHash('sha256')
        .update(canonicalJson(list as unknown as Json))
        .digest(),
    );
    const opening = { lane: 'notice', id: list.id, sha256, notAfter: list.notAfter, subjects, at: own.clock() };
    const used = { e: 'used', id: list.id, notAfter: list.notAfter, sha256 };
    const lie = { time: own.clock(), effects: [used, { e: 'message', opening }], recent: [] };
    Object.assign(own.ledger, { spent: () => lie });
    let reached = 0;
    Object.assign(own.ledger.messages, {
      open: () => {
        reached += 1;
        throw new GuardError('reached', 'an accomplice');
      },
    });
    await own.stopSealer();
    await own.startSealer();
    const client = own.client('sealer', 'courier');
    for (const assertions of [[], [touch(own.passkey(), list)]]) {
      await assert.rejects(
        client.call('message', { message: list, assertions, rows: given }),
        refusedWith('two-people'),
      );
    }
    assert.equal(reached, 0);
    const both = [0, 1].map((n) => touch(own.passkey(n), list));
    await assert.rejects(
      client.call('message', { message: list, assertions: both, rows: given }),
      refusedWith('reached'),
    );
  } finally {
    await own.close();
  }
});
