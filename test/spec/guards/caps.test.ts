import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ADMINS, Guards, newBrowser, person, touch } from './fixture.ts';
import { HOUR, Rosters } from './roster-fixture.ts';

const NOON = Date.UTC(2030, 0, 15, 12);
let guards: Guards;
let rosters: Rosters;
async function start(caps: ConstructorParameters<typeof Guards>[0] = {}): Promise<void> {
  guards = await Guards.start(caps);
  guards.now = NOON;
  rosters = new Rosters(guards);
}
beforeEach(() => start());
afterEach(() => guards.close());

const code = (expected: string) => ({ code: expected });
const people = (count: number, from = 0) => Array.from({ length: count }, (_, n) => person(from + n));
const reveal = (count: number, n = 0) => guards.reveal([], { subjects: people(count) }, n);
async function restart(): Promise<void> {
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
}

test('a limit goes down at once, and up a day later at both guards', async () => {
  await rosters.change({ act: 'caps', caps: rosters.caps({ perDay: 5 }) });
  await assert.rejects(reveal(6), code('cap'));
  await reveal(5);
  await rosters.change({ act: 'caps', caps: rosters.caps({ perDay: 50 }) });
  assert.equal(guards.ledger.roster().raises[0]?.to, 50);
  await assert.rejects(reveal(1), code('cap'));
  guards.now! += 23.9 * HOUR;
  await assert.rejects(reveal(6), code('cap'));
  await restart();
  guards.now! += 0.2 * HOUR;
  await reveal(20);
  assert.deepEqual(guards.ledger.roster().raises, []);
  assert.equal(guards.sealer.gate.caps.perDay, 50);
});

test('any one administrator stops a raise; asking for less in between does not start it anew', async () => {
  await rosters.change({ act: 'caps', caps: rosters.caps({ perDay: 500, namesPerDay: 900 }) });
  guards.now! += 12 * HOUR;
  await rosters.change({ act: 'caps', caps: rosters.caps({ perDay: 300 }) });
  assert.deepEqual(
    guards.ledger.roster().raises.map(({ cap, to }) => [cap, to]),
    [['perDay', 300]],
    'what is not asked for any more is off',
  );
  guards.now! += 12.1 * HOUR;
  assert.equal(guards.ledger.gate.caps.perDay, 300);
  await rosters.change({ act: 'caps', caps: rosters.caps({ perDay: 1_000 }) });
  await rosters.stopRaise(2);
  guards.now! += 100 * HOUR;
  assert.equal(guards.ledger.gate.caps.perDay, 300);
  assert.equal(guards.sealer.gate.caps.perDay, 300);
  await assert.rejects(rosters.stopRaise(2), code('refused'));
});

test('a clock set forward or back, with restarts or without, brings no raise earlier', async () => {
  guards.ran = 0;
  await restart();
  await rosters.change({ act: 'caps', caps: rosters.caps({ perDay: 500 }) });
  guards.ran = HOUR;
  for (const jump of [30 * HOUR, -40 * HOUR, 400 * HOUR]) {
    guards.now = NOON + jump;
    assert.equal(guards.ledger.gate.caps.perDay, 100);
    assert.equal(guards.sealer.gate.caps.perDay, 100);
    await restart();
    assert.equal(guards.ledger.gate.caps.perDay, 100);
    assert.equal(guards.sealer.gate.caps.perDay, 100);
  }
  // Nor does it keep one back for ever: a day of running later it counts.
  guards.ran += 24 * HOUR;
  guards.now! += 24 * HOUR;
  assert.equal(guards.ledger.gate.caps.perDay, 500);
  assert.equal(guards.sealer.gate.caps.perDay, 500);
});

test('a clock set forward makes no new passkey an old one', async () => {
  guards.ran = 0;
  await restart();
  const dora = await rosters.invite('admin-dora');
  guards.now! += 80 * HOUR;
  guards.ran = HOUR;
  const set = guards.commandSet(1);
  const authorise = () =>
    guards.client('ledger', 'core').call('authorise', { document: set, assertions: rosters.sign(set, [0, dora]) });
  await assert.rejects(authorise(), code('too-new'));
  await restart();
  await assert.rejects(authorise(), code('too-new'));
  guards.ran += 72 * HOUR;
  await authorise();
});

test('a clock moved over midnight, however often and with restarts, frees at most one more day', async () => {
  await guards.close();
  await start({ perDay: 5, orgPerDay: 1_000 });
  guards.ran = 0;
  await restart();
  await reveal(5);
  // While the guards run, a jump is not followed at all.
  guards.now! += 24 * HOUR;
  guards.ran += 1_000;
  await assert.rejects(reveal(1), code('cap'));
  let read = 5;
  for (let day = 2; day < 12; day++) {
    guards.now = NOON + day * 24 * HOUR;
    await restart();
    guards.ran += 60_000;
    for (let n = 0; n < 5; n++) {
      await reveal(1).then(
        () => {
          read += 1;
        },
        (error: { code?: string }) => assert.equal(error.code, 'cap'),
      );
    }
  }
  assert.equal(read, 10);
  // The ledger alone says so too.
  const grant = guards.grant(newBrowser(), people(1));
  const body = { grant, assertion: touch(guards.passkey(), grant), rows: [] };
  await assert.rejects(guards.client('ledger', 'sealer').call('open', body), code('cap'));
  guards.ran += 24 * HOUR;
  guards.now! += 24 * HOUR;
  await reveal(5);
});

test('names, numbers, addresses and secrets of devices have meters and limits of their own', async () => {
  await guards.close();
  await start({ perDay: 1, namesPerDay: 2, emailsPerDay: 3, secretsPerDay: 1, orgPerDay: 100 });
  const limits = { number: 1, name: 2, email: 3 } as const;
  for (const [field, limit] of Object.entries(limits) as ['number', number][]) {
    await guards.reveal([], { subjects: people(limit), field });
    await assert.rejects(guards.reveal([], { subjects: people(1), field }), code('cap'));
  }
  const secret = (n: number) =>
    guards.reveal([], { subjects: [person(n)], field: 'unlock-token', browserKey: guards.edge.publicKey });
  // Sealed to edge, so this test cannot read the answer; the refusal is what counts.
  await assert.rejects(secret(1), (error: { code?: string }) => error.code !== 'cap');
  await assert.rejects(secret(2), code('cap'));
});

test('above the organisation’s day a second person signs the very grant, far above it a third', async () => {
  await guards.close();
  await start({ perDay: 100, orgPerDay: 3 });
  const ask = (count: number, others: number[], reader = 0, given = guards.client('sealer', 'glass')) => {
    const grant = guards.grant(newBrowser(), people(count), { admin: ADMINS[reader]! });
    const assertion = touch(guards.passkey(reader), grant);
    return given.call('reveal', { grant, assertion, rows: [], others: rosters.sign(grant, others) });
  };
  await ask(3, []);
  await assert.rejects(ask(1, []), code('second-person'));
  await assert.rejects(ask(1, [0]), code('second-person'), 'oneself is nobody else');
  await ask(1, [1]);
  const stray = guards.grant(newBrowser(), people(1));
  const grant = guards.grant(newBrowser(), people(1));
  const swapped = { grant, assertion: touch(guards.passkey(), grant), rows: [], others: rosters.sign(stray, [1]) };
  await assert.rejects(guards.client('sealer', 'glass').call('reveal', swapped), code('refused'));
  await ask(20, [1]);
  await assert.rejects(ask(10, [1]), code('second-person'), 'more than ten times as much');
  await ask(10, [1, 2]);
  const [entry] = (await rosters.entries('directory.revealed')).slice(-1);
  assert.deepEqual(entry!.detail['signers'], [ADMINS[1], ADMINS[2]]);
  // The ledger holds to it without the sealer.
  const alone = guards.grant(newBrowser(), people(1));
  const body = { grant: alone, assertion: touch(guards.passkey(), alone), rows: [] };
  await assert.rejects(guards.client('ledger', 'sealer').call('open', body), code('second-person'));
});

test('600 different grants at once at the cap, each guard restarted in the midst: never more than the cap', async () => {
  await guards.close();
  await start({ perDay: 25, perTouch: 25, orgPerDay: 1_000 });
  const ask = () => {
    const grant = guards.grant(newBrowser(), people(1));
    const assertion = touch(guards.passkey(), grant);
    return guards
      .client('sealer', 'glass')
      .call('reveal', { grant, assertion, rows: [] })
      .then(
        () => 1,
        () => 0,
      );
  };
  const wave = () => Array.from({ length: 200 }, ask);
  const breath = () => new Promise((resolve) => setTimeout(resolve, 60));
  const first = wave();
  await breath();
  await guards.stopSealer();
  await guards.startSealer();
  const second = wave();
  await breath();
  await guards.stopLedger();
  await guards.startLedger();
  const served = (await Promise.all([...first, ...second, ...wave()])).reduce<number>((sum, one) => sum + one, 0);
  assert.ok(served <= 25, `${served} were served`);
  const opened = await rosters.entries('directory.revealed');
  assert.ok(opened.length <= 25 && opened.length >= served, `the ledger opened ${opened.length}`);
  // What a guard charged and the other never saw stays charged: errors are on the side of reading less.
  assert.equal(await ask(), 0);
});

test('400 parallel replays of one grant are one reading, in each guard by itself', async () => {
  const request = () => {
    const grant = guards.grant(newBrowser(), people(1));
    return { grant, assertion: touch(guards.passkey(), grant), rows: [] };
  };
  const opened = async () => (await rosters.entries('directory.revealed')).length;
  const replay = async (client: { call(type: string, body: object): Promise<unknown> }, type: string) => {
    const body = request();
    const all = await Promise.allSettled(Array.from({ length: 400 }, () => client.call(type, body)));
    return all.filter((one) => one.status === 'fulfilled').length;
  };
  assert.equal(await replay(guards.client('sealer', 'glass'), 'reveal'), 1);
  assert.equal(await opened(), 1);
  const refused = (await rosters.entries('directory.refused')).map(
    ({ detail }) => `${detail['guard']} ${detail['code']}`,
  );
  assert.deepEqual([...new Set(refused)], ['sealer used'], 'none came as far as the ledger');
  // Past the sealer, as one who owns it would.
  assert.equal(await replay(guards.client('ledger', 'sealer'), 'open'), 1);
  assert.equal(await opened(), 2);
});
