import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { uuidv7 } from '#base';
import { type DeclarePermit, type Invite, membersDigest, type Permit, verifyDeclarePermit, verifyPermit } from '#seal';
import { newPasskey } from '#sim';
import { ADMINS, Guards, newBrowser, person, touch } from './fixture.ts';

const HOUR = 3_600_000;
const NOON = Date.UTC(2030, 0, 15, 12);
let guards: Guards;

/** Starts guards whose clock stands at noon. */
async function start(caps: ConstructorParameters<typeof Guards>[0] = {}): Promise<void> {
  guards = await Guards.start(caps);
}
beforeEach(() => start());
afterEach(() => guards.close());

const people = (from: number, count: number) => Array.from({ length: count }, (_, n) => person(from + n));
const code = (expected: string) => ({ code: expected });

test('the day’s limits hold per admin and for all, at both guards, and over a restart', async () => {
  await guards.close();
  await start({ perDay: 10, orgPerDay: 15 });
  await guards.reveal([], { subjects: people(0, 10) }, 0);
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }, 0), code('cap'));
  // Another field has a meter of its own.
  await guards.reveal([], { subjects: people(0, 10), field: 'email' }, 0);
  await assert.rejects(guards.reveal([], { subjects: people(0, 6) }, 1), code('second-person'));
  await guards.reveal([], { subjects: people(0, 5) }, 1);
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }, 2), code('second-person'));
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }, 2), code('second-person'));
  // The ledger says so by itself too.
  const grant = guards.grant(newBrowser(), people(0, 1), { admin: ADMINS[2] });
  const body = { grant, assertion: touch(guards.passkey(2), grant), rows: [] };
  await assert.rejects(guards.client('ledger', 'sealer').call('open', body), code('second-person'));
});

test('parallel touches cannot race the meter in either guard', async () => {
  await guards.close();
  await start({ perDay: 25 });
  const glass = guards.client('sealer', 'glass');
  const tries = Array.from({ length: 40 }, () => guards.reveal([], { subjects: people(0, 1) }, 0, glass));
  assert.equal((await Promise.allSettled(tries)).filter((one) => one.status === 'fulfilled').length, 25);
  const direct = guards.client('ledger', 'sealer');
  const open = () => {
    const grant = guards.grant(newBrowser(), people(0, 1), { admin: ADMINS[1] });
    return direct.call('open', { grant, assertion: touch(guards.passkey(1), grant), rows: [] });
  };
  const opened = await Promise.allSettled(Array.from({ length: 40 }, open));
  assert.equal(opened.filter((one) => one.status === 'fulfilled').length, 25);
});

test('a clock set back frees nothing; the next day does', async () => {
  await guards.close();
  await start({ perDay: 5 });
  guards.now = NOON;
  await assert.rejects(guards.reveal([], { subjects: people(0, 6) }), code('cap'));
  // Enrolment happened at the real time; noon of a later day is a new day.
  await guards.reveal([], { subjects: people(0, 5) });
  guards.now = NOON - 24 * HOUR;
  await assert.rejects(guards.reveal([], { subjects: people(0, 1), notAfter: NOON + 60_000 }), code('cap'));
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
  await assert.rejects(guards.reveal([], { subjects: people(0, 1), notAfter: NOON + 60_000 }), code('cap'));
  guards.now = NOON + 24 * HOUR;
  await guards.reveal([], { subjects: people(0, 5) });
});

test('a used grant stays used over a restart of both guards', async () => {
  const browser = newBrowser();
  const grant = guards.grant(browser, people(0, 1));
  const signed = touch(guards.passkey(), grant);
  await guards.send(guards.client('sealer', 'glass'), browser, grant, signed, []);
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
  await assert.rejects(guards.send(guards.client('sealer', 'glass'), browser, grant, signed, []), code('used'));
  const body = { grant, assertion: signed, rows: [] };
  await assert.rejects(guards.client('ledger', 'sealer').call('open', body), code('used'));
});

test('the first decoy freezes its reader, the second locks the directory, and nobody is told why', async () => {
  await guards.client('ledger', 'intake').call('decoys', { handles: people(500, 3) });
  const [row] = await guards.settle({ [person(0)]: 'value' });
  const first = await guards.reveal([row!], { subjects: [person(0), person(500)].sort() }).catch((error) => error);
  assert.equal(first.code, 'refused');
  assert.doesNotMatch(first.message, /decoy/i);
  await assert.rejects(guards.reveal([row!]), code('locked'));
  // Others still read, until the second hit, which may come days later and after a restart.
  assert.deepEqual(await guards.reveal([row!], {}, 1), { [person(0)]: 'value' });
  await guards.stopLedger();
  await guards.startLedger();
  await assert.rejects(guards.reveal([], { subjects: [person(501)] }, 1), code('refused'));
  await assert.rejects(guards.reveal([row!], {}, 2), code('locked'));
  const { entries } = await guards
    .client('ledger', 'core')
    .call<{ entries: { kind: string; detail: object }[] }>('tail', {
      after: 0,
      waitMs: 0,
    });
  const kinds = entries.map((one) => one.kind);
  assert.equal(kinds.filter((kind) => kind === 'directory.decoy').length, 2);
  assert.equal(kinds.filter((kind) => kind === 'lock.on').length, 3);
  assert.ok(!JSON.stringify(entries).includes(person(500)), 'the log does not tell which handles are decoys');
});

test('locks stop everybody or one, outlive restarts, and are lifted by two other people only', async () => {
  const core = guards.client('ledger', 'core');
  const both = async (scope: string, target: string) => {
    await core.call('lock', { scope, target, reason: 'a test' });
    await guards.client('sealer', 'core').call('lock', { scope, target, reason: 'a test' });
  };
  await both('admin', ADMINS[0]);
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }), code('locked'));
  await guards.reveal([], { subjects: people(0, 1) }, 1);
  await both('directory', '');
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }, 1), code('locked'));
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }, 1), code('locked'));
  await assert.rejects(
    guards.lift('directory', '', [0, 1]),
    code('locked'),
    'a locked admin’s signature counts for nothing',
  );
  await assert.rejects(guards.lift('directory', '', [1, 1]), code('two-people'));
  await guards.lift('directory', '', [1, 2]);
  await guards.reveal([], { subjects: people(0, 1) }, 1);
  await assert.rejects(guards.reveal([], { subjects: people(0, 1) }, 0), code('locked'));
  await guards.lift('admin', ADMINS[0], [1, 2]);
  await guards.reveal([], { subjects: people(0, 1) }, 0);
});

test('an unlock signed for one lock lifts no other, and not the same lock twice', async () => {
  const core = guards.client('ledger', 'core');
  const glass = guards.client('ledger', 'glass');
  const document = guards.unlock('directory');
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), document));
  await core.call('lock', { scope: 'commands', target: '', reason: 'a test' });
  await assert.rejects(
    glass.call('unlock', { document: { ...document, scope: 'commands' }, assertions }),
    code('refused'),
  );
  await core.call('lock', { scope: 'directory', target: '', reason: 'a test' });
  await glass.call('unlock', { document, assertions });
  await glass.call('unlock', { document, assertions });
  await core.call('lock', { scope: 'directory', target: '', reason: 'again' });
  await assert.rejects(glass.call('unlock', { document, assertions }), code('used'));
});

test('erasing needs two people over exactly these commands, and the cap holds even then', async () => {
  const core = guards.client('ledger', 'core');
  const authorise = (document: object, assertions: readonly object[]) =>
    core.call<{ permits: Permit[] }>('authorise', { document, assertions });
  const set = guards.commandSet(3);
  const one = touch(guards.passkey(0), set);
  await assert.rejects(authorise(set, [one, one]), code('two-people'));
  await assert.rejects(authorise(set, [one, touch(newPasskey(), set)]), code('refused'));
  const other = guards.commandSet(3);
  await assert.rejects(authorise(other, [one, touch(guards.passkey(1), set)]), code('refused'));
  const both = [one, touch(guards.passkey(1), set)];
  const { permits } = await authorise(set, both);
  assert.deepEqual(
    permits.map(({ device, uuid, body }) => ({ device, uuid, body })),
    set.commands,
  );
  for (const permit of permits) {
    assert.ok(verifyPermit(guards.keys.ledger, permit));
    assert.ok(!verifyPermit(guards.keys.ledger, { ...permit, device: set.commands[1]!.device.replace('1', '2') }));
  }
  // Asking again after a crash gives the same permits and costs nothing.
  assert.deepEqual((await authorise(set, both)).permits, permits);
  const three = guards.commandSet(3);
  const signed = [0, 1].map((n) => touch(guards.passkey(n), three));
  await assert.rejects(authorise(three, signed), code('cap'));
  const two = guards.commandSet(2);
  await authorise(
    two,
    [0, 1].map((n) => touch(guards.passkey(n), two)),
  );
  await guards.stopLedger();
  await guards.startLedger();
  const last = guards.commandSet(1);
  await assert.rejects(
    authorise(
      last,
      [0, 2].map((n) => touch(guards.passkey(n), last)),
    ),
    code('cap'),
  );
  await core.call('lock', { scope: 'commands', target: '', reason: 'a test' });
  const bulk = guards.commandSet(20, { verb: 'DeviceLock' });
  const locked = [0, 1].map((n) => touch(guards.passkey(n), bulk));
  await assert.rejects(authorise(bulk, locked), code('locked'));
  await assert.rejects(authorise(set, both), code('locked'), 'not even what was permitted before');
});

test('a newcomer needs two people’s invitation, a token of one use, and 72 hours before approving', async () => {
  const token = randomBytes(32);
  const invite: Invite = {
    v: 1,
    op: 'invite',
    id: uuidv7(),
    admin: 'admin-dora',
    role: 'administrator',
    tokenSha256: createHash('sha256').update(token).digest('base64url'),
    requester: ADMINS[0],
    purpose: 'a test of the guards',
    notAfter: guards.clock() + HOUR,
  };
  const passkey = newPasskey({ algorithm: 'Ed25519' });
  const text = token.toString('base64url');
  await assert.rejects(guards.enrol(passkey, text), code('refused'), 'not invited yet');
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), invite));
  const alone = { document: invite, assertions: [assertions[0], assertions[0]] };
  await assert.rejects(guards.client('ledger', 'glass').call('invite', alone), code('two-people'));
  for (const guard of [guards.client('ledger', 'glass'), guards.client('sealer', 'glass')]) {
    await guard.call('invite', { document: invite, assertions });
  }
  const enrol = guards.enrolment(passkey, text);
  const foreign = { enrol, assertion: { ...touch(newPasskey(), enrol), credential: passkey.credential } };
  await assert.rejects(guards.client('ledger', 'glass').call('enrol-key', foreign), code('refused'));
  assert.deepEqual(await guards.enrol(passkey, text), { admin: 'admin-dora', role: 'administrator' });
  assert.deepEqual(
    await guards.enrol(passkey, text),
    { admin: 'admin-dora', role: 'administrator' },
    'a repeat is harmless',
  );
  await assert.rejects(guards.enrol(newPasskey(), text), code('used'));
  const set = guards.commandSet(1);
  const signed = [touch(guards.passkey(0), set), touch(passkey, set)];
  const authorise = (document: object, by: readonly object[]) =>
    guards.client('ledger', 'core').call('authorise', { document, assertions: by });
  await assert.rejects(authorise(set, signed), code('too-new'));
  guards.now = Date.now() + 73 * HOUR;
  const later = guards.commandSet(1);
  await authorise(later, [touch(guards.passkey(0), later), touch(passkey, later)]);
  await guards.stopLedger();
  await guards.startLedger();
  const { keys } = await guards.client('ledger', 'console').call<{ keys: { admin: string }[] }>('roster', {});
  assert.equal(keys.length, 4);
});

test('an invitation expires after a day', async () => {
  const token = randomBytes(32);
  const tokenSha256 = createHash('sha256').update(token).digest('base64url');
  const notAfter = guards.clock() + HOUR;
  const [id, requester, purpose] = [uuidv7(), ADMINS[0], 'a test of the guards'];
  const document: Invite = {
    v: 1,
    op: 'invite',
    id,
    admin: 'admin-eve',
    role: 'dpo',
    tokenSha256,
    requester,
    purpose,
    notAfter,
  };
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), document));
  for (const guard of [guards.client('ledger', 'glass'), guards.client('sealer', 'glass')]) {
    await guard.call('invite', { document, assertions });
  }
  guards.now = Date.now() + 25 * HOUR;
  await assert.rejects(guards.enrol(newPasskey(), token.toString('base64url')), code('expired'));
});

test('the destructive caps count what destroys, whatever else two people sign', async () => {
  const both = (document: ReturnType<typeof guards.commandSet>) =>
    guards.client('ledger', 'core').call<{ permits: { verb: string }[] }>('authorise', {
      document,
      assertions: [0, 1].map((n) => touch(guards.passkey(n), document)),
    });
  for (const verb of ['DeviceLocation', 'ClearPasscode', 'InstallProfile', 'RequestRebootstrap']) {
    const { permits } = await both(guards.commandSet(20, { verb }));
    assert.deepEqual([permits.length, permits[0]!.verb], [20, verb]);
  }
  await assert.rejects(both(guards.commandSet(20, { verb: 'DeleteUser' })), code('cap'));
  await assert.rejects(
    both(guards.commandSet(1, { verb: 'drop table' })),
    (error: { code?: string }) => error.code === 'dropped',
  );
});

test('dangerous declarations need two people over exactly these bytes, devices and this end', async () => {
  const core = guards.client('ledger', 'core');
  const permit = async (document: object, assertions: readonly object[]) =>
    (await core.call<{ permit: DeclarePermit }>('declare', { document, assertions })).permit;
  const document = guards.declare();
  const [one, two] = [0, 1].map((n) => touch(guards.passkey(n), document)) as [object, object];
  await assert.rejects(permit(document, [one, one]), code('two-people'));
  await assert.rejects(permit(document, [one, touch(newPasskey(), document)]), code('refused'));
  for (const other of [
    { ...document, until: document.until + 1 },
    { ...document, devices: [document.devices[0]!] },
    { ...document, devices: 'everyone' },
    { ...document, declarations: [{ ...document.declarations[0]!, body: document.declarations[0]!.token }] },
  ])
    await assert.rejects(permit(other, [one, two]), code('refused'), 'two signatures over something else');
  const given = await permit(document, [one, two]);
  assert.ok(verifyDeclarePermit(guards.keys.ledger, given));
  assert.deepEqual(given.declarations, document.declarations);
  assert.equal(given.devices, membersDigest(document.devices as readonly string[]));
  assert.ok(!verifyDeclarePermit(guards.keys.ledger, { ...given, devices: 'everyone' }));
  assert.ok(!verifyDeclarePermit(guards.keys.ledger, { ...given, until: given.until + 1 }));
  assert.ok(!verifyPermit(guards.keys.ledger, { ...(given as unknown as Permit), device: 'amber-otter-4821' }));
  await guards.stopLedger();
  await guards.startLedger();
  const again = guards.client('ledger', 'core');
  const repeated = await again.call<{ permit: DeclarePermit }>('declare', { document, assertions: [one, two] });
  assert.deepEqual(repeated.permit, given, 'asked again after a crash');
  const both = (more: Parameters<typeof guards.declare>[0]) => {
    const asked = guards.declare(more);
    const assertions = [0, 1].map((n) => touch(guards.passkey(n), asked));
    return guards.client('ledger', 'core').call<{ permit: DeclarePermit }>('declare', { document: asked, assertions });
  };
  assert.equal((await both({ devices: 'everyone' })).permit.devices, 'everyone');
  await assert.rejects(both({ until: guards.clock() + 401 * 24 * HOUR }), code('refused'));
  await assert.rejects(both({ until: guards.clock() - 1 }), code('refused'));
  for (const odd of [
    { devices: [] },
    { devices: [...(document.devices as string[])].reverse() },
    { devices: 'all' as 'everyone' },
    { declarations: [] },
    { declarations: [document.declarations[0]!, document.declarations[0]!] },
  ])
    await assert.rejects(both(odd), (error: { code?: string }) => error.code === 'dropped', JSON.stringify(odd));
  const { entries } = await guards
    .client('ledger', 'core')
    .call<{ entries: { kind: string; detail: { signers?: string[] } }[] }>('tail', { after: 0, waitMs: 0 });
  const permitted = entries.filter(({ kind }) => kind === 'declaration.permitted');
  assert.equal(permitted.length, 2);
  assert.deepEqual(permitted[0]!.detail.signers, [ADMINS[0], ADMINS[1]].sort());
  await guards.client('ledger', 'core').call('lock', { scope: 'commands', target: '', reason: 'a test' });
  await assert.rejects(both({}), code('locked'));
});
