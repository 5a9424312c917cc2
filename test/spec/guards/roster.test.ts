import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { credentialDigest } from '#seal';
import { newPasskey } from '#sim';
import { ADMINS, Guards, newBrowser, person, touch } from './fixture.ts';
import { HOUR, newLink, Rosters } from './roster-fixture.ts';

let guards: Guards;
let rosters: Rosters;
beforeEach(async () => {
  guards = await Guards.start();
  guards.now = Date.now();
  rosters = new Rosters(guards);
});
afterEach(() => guards.close());

const code = (expected: string) => ({ code: expected });
const reveal = (n: number) => guards.reveal([], { subjects: [person(1)] }, n);
async function restart(): Promise<void> {
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
  await guards.sealer.sync();
}
function agree(): void {
  const { ledger, sealer } = rosters.digests();
  assert.equal(ledger, sealer, 'both guards have one roster');
}

test('a fourth administrator joins, a founder leaves; each step is signed, logged, and the same in both guards', async () => {
  await rosters.invite('admin-dora');
  await assert.rejects(rosters.change({ act: 'remove-admin', admin: ADMINS[2] }), code('lock-out'), 'dora is too new');
  guards.now! += 73 * HOUR;
  await reveal(2);
  const grant = guards.grant(newBrowser(), [person(1)], { admin: ADMINS[2] });
  const open = touch(guards.passkey(2), grant);
  await rosters.change({ act: 'remove-admin', admin: ADMINS[2] });
  agree();
  const send = () => guards.client('sealer', 'glass').call('reveal', { grant, assertion: open, rows: [] });
  await assert.rejects(send(), code('refused'), 'what the removed one had touched for is dead');
  const direct = { grant, assertion: open, rows: [] };
  await assert.rejects(guards.client('ledger', 'sealer').call('open', direct), code('refused'));
  const [entry] = (await rosters.entries('roster.changed')).slice(-1);
  assert.equal(entry!.detail['admin'], ADMINS[2]);
  assert.deepEqual(entry!.detail['signers'], [ADMINS[0], ADMINS[1]]);
  await restart();
  agree();
  await assert.rejects(reveal(2), code('refused'));
  await reveal(1);
});

test('a signature of somebody who was removed counts for nothing, on whatever it was given', async () => {
  await rosters.invite('admin-dora');
  guards.now! += 73 * HOUR;
  const set = guards.commandSet(1, { notAfter: guards.clock() + HOUR });
  const signed = rosters.sign(set, [0, 2]);
  await rosters.change({ act: 'remove-admin', admin: ADMINS[2] });
  await assert.rejects(
    guards.client('ledger', 'core').call('authorise', { document: set, assertions: signed }),
    code('refused'),
  );
});

test('a change fits one version of the roster: none twice, no two across, and no old one', async () => {
  const one = rosters.document({ act: 'role', admin: ADMINS[2], role: 'analyst' });
  const link = newLink();
  const first = rosters.document({ act: 'add-key', admin: ADMINS[0], tokenSha256: link.tokenSha256 });
  const second = rosters.document({ act: 'add-key', admin: ADMINS[1], tokenSha256: newLink().tokenSha256 });
  await rosters.hand(first, rosters.sign(first, [0, 1]));
  await rosters.hand(first, rosters.sign(first, [0, 1]));
  assert.equal(guards.ledger.gate.state.roster.version, 1, 'a repeat is the same change');
  await assert.rejects(rosters.hand(second, rosters.sign(second, [0, 1])), code('outdated'));
  await assert.rejects(rosters.hand(one, rosters.sign(one, [0, 1])), code('outdated'));
  // Glass in an attacker's hand gives the sealer another change than the ledger.
  const crossing = rosters.document({ act: 'threshold', threshold: 2 });
  const other = rosters.document({ act: 'add-key', admin: ADMINS[2], tokenSha256: newLink().tokenSha256 });
  await guards
    .client('ledger', 'glass')
    .call('roster-change', { document: crossing, assertions: rosters.sign(crossing, [0, 1]) });
  await guards
    .client('sealer', 'glass')
    .call('roster-change', { document: other, assertions: rosters.sign(other, [0, 1]) });
  agree();
  assert.equal(guards.sealer.gate.state.roster.version, 2);
});

test('forged changes are refused, and the sealer takes none that nobody signed even from the ledger', async () => {
  const change = { act: 'role', admin: ADMINS[2], role: 'dpo' } as const;
  const document = rosters.document(change);
  const [one, two] = rosters.sign(document, [0, 1]) as [object, object];
  const ask = (given: object, assertions: object[]) =>
    guards.client('ledger', 'glass').call('roster-change', { document: given, assertions });
  await assert.rejects(ask(document, [one, one]), code('two-people'));
  await assert.rejects(ask(document, [one, touch(newPasskey(), document)]), code('refused'));
  await assert.rejects(ask({ ...document, change: { ...change, role: 'analyst' } }, [one, two]), code('refused'));
  await assert.rejects(ask({ ...document, roster: 1 }, [one, two]), code('refused'));
  const elsewhere = { origin: 'https://console.example' };
  const phished = [0, 1].map((n) => touch(guards.passkey(n), document, elsewhere));
  await assert.rejects(ask(document, phished), code('refused'));
  // An owned ledger tells the sealer of a change that one person signed.
  const { decrees } = guards.ledger.gate.state.roster;
  decrees.push({ document, assertions: [one, one] as never, time: guards.clock() });
  await assert.rejects(guards.sealer.roster.change(document), code('refused'));
  assert.equal(guards.sealer.gate.state.keys.get(guards.passkey(2).credential)?.role, 'administrator');
  assert.equal(guards.sealer.gate.state.roster.version, 0);
});

test('the sealer that was away follows by itself, and a kill in between loses nothing', async () => {
  const passkey = newPasskey({ admin: ADMINS[0] });
  const link = newLink();
  const document = rosters.document({ act: 'add-key', admin: ADMINS[0], tokenSha256: link.tokenSha256 });
  await guards.stopSealer();
  await guards
    .client('ledger', 'glass')
    .call('roster-change', { document, assertions: rosters.sign(document, [0, 1]) });
  const enrol = guards.enrolment(passkey, link.token);
  await guards.client('ledger', 'glass').call('enrol-key', { enrol, assertion: touch(passkey, enrol) });
  guards.now! += 30 * HOUR;
  await guards.startSealer();
  await guards.sealer.sync();
  agree();
  assert.ok(guards.sealer.gate.state.keys.has(passkey.credential));
  // With the new key he takes his old one off once it has seasoned.
  const old = { act: 'remove-key', credential: guards.passkey(0).credential } as const;
  await assert.rejects(rosters.change(old, [1, 2]), code('lock-out'));
  guards.now! += 50 * HOUR;
  await rosters.change(old, [1, 2]);
  agree();
  await assert.rejects(reveal(0), code('refused'));
  const grant = guards.grant(newBrowser(), [person(2)]);
  await guards.client('sealer', 'glass').call('reveal', { grant, assertion: touch(passkey, grant), rows: [] });
});

test('nobody is left who could act: the last ones stay, and a threshold beyond them is refused', async () => {
  await assert.rejects(rosters.change({ act: 'remove-admin', admin: ADMINS[2] }), code('lock-out'));
  await assert.rejects(rosters.change({ act: 'role', admin: ADMINS[2], role: 'dpo' }), code('lock-out'));
  await assert.rejects(rosters.change({ act: 'threshold', threshold: 3 }), code('lock-out'));
  await rosters.lock('admin', ADMINS[2], 1);
  await assert.rejects(
    rosters.change({ act: 'remove-admin', admin: ADMINS[2] }),
    code('lock-out'),
    'locked is not gone',
  );
  await guards.lift('admin', ADMINS[2]);
  await rosters.invite('admin-dora');
  await assert.rejects(
    rosters.change({ act: 'threshold', threshold: 3 }),
    code('lock-out'),
    'dora is too new to count',
  );
  guards.now! += 73 * HOUR;
  await rosters.lock('admin', 'admin-dora', 1);
  await assert.rejects(rosters.change({ act: 'threshold', threshold: 3 }), code('lock-out'), 'dora is locked');
  await guards.lift('admin', 'admin-dora');
  await rosters.change({ act: 'threshold', threshold: 3 });
  await assert.rejects(rosters.change({ act: 'threshold', threshold: 2 }), code('two-people'), 'three from now on');
  await rosters.change({ act: 'threshold', threshold: 2 }, [0, 1, 2]);
  agree();
});

test('a role is earned anew, and an invitation makes no second person of somebody who is there', async () => {
  const dora = await rosters.invite('admin-dora', 'analyst');
  guards.now! += 73 * HOUR;
  await rosters.change({ act: 'role', admin: 'admin-dora', role: 'administrator' });
  const set = guards.commandSet(1, { notAfter: guards.clock() + HOUR });
  const authorise = () =>
    guards.client('ledger', 'core').call('authorise', { document: set, assertions: rosters.sign(set, [0, dora]) });
  await assert.rejects(authorise(), code('too-new'));
  await assert.rejects(rosters.invite(ADMINS[1], 'dpo'), code('refused'));
  await assert.rejects(rosters.invite('break-glass-1'), code('refused'));
});

test('anybody locks anything with one touch, at both guards, in far less than a second', async () => {
  const dora = await rosters.invite('admin-dora', 'analyst');
  assert.ok(dora);
  const started = process.hrtime.bigint();
  await rosters.lock('admin', ADMINS[0], 1);
  assert.ok(Number(process.hrtime.bigint() - started) < 1e9);
  await assert.rejects(reveal(0), code('locked'));
  await assert.rejects(rosters.lock('directory', '', 0), code('locked'), 'who is locked locks nobody');
  await guards.lift('admin', ADMINS[0], [1, 2]);
  const credential = credentialDigest(guards.passkey(2).credential);
  await rosters.lock('credential', credential, 0);
  await assert.rejects(reveal(2), code('locked'));
  await guards.lift('credential', credential, [0, 1]);
  await rosters.lock('role', 'analyst', 0);
  await restart();
  const grant = guards.grant(newBrowser(), [person(1)], { admin: 'admin-dora' });
  const body = { grant, assertion: touch(dora, grant), rows: [] };
  await assert.rejects(guards.client('sealer', 'glass').call('reveal', body), code('locked'));
  await guards.lift('role', 'analyst', [0, 1]);
  const other = guards.grant(newBrowser(), [person(3)], { admin: ADMINS[1] });
  await rosters.lock('document', other.id, 0);
  const locked = { grant: other, assertion: touch(guards.passkey(1), other), rows: [] };
  await assert.rejects(guards.client('sealer', 'glass').call('reveal', locked), code('locked'));
  await rosters.lock('directory', '', 2);
  await assert.rejects(reveal(1), code('locked'));
  const bad = { ...rosters.document({ act: 'threshold', threshold: 2 }), op: 'lock' };
  await assert.rejects(
    guards.client('ledger', 'glass').call('lock-now', { document: bad, assertion: {} }),
    code('dropped'),
  );
});

test('where everybody was locked, one more than a change takes lift the locks; fewer do not', async () => {
  const core = (guard: 'ledger' | 'sealer') => guards.client(guard as 'ledger', 'core');
  for (const target of ADMINS) {
    for (const guard of ['ledger', 'sealer'] as const) {
      await core(guard).call('lock', { scope: 'admin', target, reason: 'an owned core' });
    }
  }
  await assert.rejects(guards.lift('admin', ADMINS[0], [0, 1]), code('locked'));
  await guards.lift('admin', ADMINS[0], [0, 1, 2]);
  await guards.lift('admin', ADMINS[1], [0, 1, 2]);
  await assert.rejects(guards.lift('admin', ADMINS[2], [1, 2]), code('locked'), 'now there are two again');
  await guards.lift('admin', ADMINS[2], [0, 1]);
  await reveal(2);
});
