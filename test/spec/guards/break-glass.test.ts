import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { toBase64url, uuidv7 } from '#base';
import { type BreakGlass, type Grant, type Refound, signBody } from '#seal';
import { newPasskey, type SoftwarePasskey } from '#sim';
import { ADMINS, Guards, newBrowser, ORG, person, touch } from './fixture.ts';
import { HOUR, newLink, Rosters } from './roster-fixture.ts';

const recovery = generateKeyPairSync('ed25519');
const recoveryKey = toBase64url(recovery.publicKey.export({ format: 'der', type: 'spki' }));
let guards: Guards;
let rosters: Rosters;
beforeEach(async () => {
  guards = await Guards.start({ orgPerDay: 5 }, 0, recoveryKey);
  guards.now = Date.now();
  rosters = new Rosters(guards);
});
afterEach(() => guards.close());

const code = (expected: string) => ({ code: expected });
const people = (count: number) => Array.from({ length: count }, (_, n) => person(n));
function read(key: SoftwarePasskey, count: number, more: Partial<Grant> = {}) {
  const grant = guards.grant(newBrowser(), people(count), { admin: 'break-glass-1', ...more });
  return guards.client('sealer', 'glass').call('reveal', { grant, assertion: touch(key, grant), rows: [] });
}
async function restart(): Promise<void> {
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
  await guards.sealer.sync();
}

test('sealed keys have no right until two custodians open one; then 25 values, one hour, once', async () => {
  const [sealed, other, one, two, three] = (await rosters.registerSealed()) as [
    ...[SoftwarePasskey, SoftwarePasskey, SoftwarePasskey, SoftwarePasskey, SoftwarePasskey],
  ];
  assert.equal(guards.ledger.roster().breakGlass.state, 'sealed');
  await assert.rejects(read(sealed, 1), code('refused'), 'sealed still');
  await assert.rejects(rosters.open([sealed, one]), code('dropped'), 'one custodian: not even a form for it');
  await assert.rejects(rosters.open([sealed, one, one]), code('two-people'));
  await assert.rejects(rosters.open([sealed, other, one]), code('two-people'), 'a second key is no custodian');
  await assert.rejects(rosters.open([one, two, three]), code('refused'), 'no key was touched');
  await assert.rejects(
    rosters.open([sealed, one, guards.passkey(0)]),
    code('refused'),
    'an administrator is no custodian',
  );
  const { id } = await rosters.open([sealed, one, three]);
  assert.equal(guards.ledger.roster().breakGlass.state, 'open');
  await assert.rejects(read(other, 1, { admin: 'break-glass-2' }), code('refused'), 'the other key stays sealed');
  await assert.rejects(read(one, 1, { admin: 'custodian-1' }), code('refused'));
  await read(sealed, 20);
  await assert.rejects(read(sealed, 6), code('cap'));
  await restart();
  await assert.rejects(read(sealed, 6), code('cap'), 'a restart gives no budget back');
  await read(sealed, 5);
  await assert.rejects(read(sealed, 1), code('cap'));
  const grant = guards.grant(newBrowser(), people(1), { admin: 'break-glass-1' });
  const direct = { grant, assertion: touch(sealed, grant), rows: [] };
  await assert.rejects(guards.client('ledger', 'sealer').call('open', direct), code('cap'));
  guards.now! += HOUR + 1;
  await assert.rejects(read(sealed, 1), code('refused'), 'the hour is over');
  assert.equal(guards.ledger.roster().breakGlass.state, 'spent');
  await assert.rejects(rosters.open([other, one, two]), code('used'), 'the other key is dead too');
  const [entry] = await rosters.entries('breakglass.opened');
  assert.deepEqual(entry!.detail['names'], ['break-glass-1', 'custodian-1', 'custodian-3']);
  // Red until a new pair is there and the review is written.
  assert.equal(guards.ledger.roster().breakGlass.reviewed, false);
  const fresh = await rosters.registerSealed();
  await assert.rejects(rosters.open([fresh[0]!, fresh[2]!, fresh[3]!]), code('refused'), 'not reviewed');
  await assert.rejects(rosters.change({ act: 'review', opening: uuidv7(), verdict: 'proper' }), code('refused'));
  await rosters.change({ act: 'review', opening: id, verdict: 'proper' });
  assert.equal((await rosters.entries('breakglass.reviewed')).length, 1);
  await assert.rejects(rosters.open([sealed, one, two]), code('refused'), 'the old ones never again');
  await rosters.open([fresh[0]!, fresh[2]!, fresh[3]!]);
  const { ledger, sealer } = rosters.digests();
  assert.equal(ledger, sealer);
});

test('an open key changes no roster, destroys nothing above the cap, and its hour cannot be stretched', async () => {
  const [sealed, second, one, two] = (await rosters.registerSealed()) as [
    ...[SoftwarePasskey, SoftwarePasskey, SoftwarePasskey, SoftwarePasskey],
  ];
  guards.ran = 0;
  await restart();
  await rosters.open([sealed, second, one, two]);
  await assert.rejects(rosters.change({ act: 'threshold', threshold: 2 }, [sealed, second]), code('refused'));
  await assert.rejects(
    rosters.change({ act: 'add-key', admin: ADMINS[0], tokenSha256: newLink().tokenSha256 }, [sealed, 0]),
    code('refused'),
  );
  await assert.rejects(rosters.invite('admin-eve', 'administrator', [0, 0]), code('two-people'));
  const erase = (count: number) => {
    const document = guards.commandSet(count, { requester: ADMINS[0] });
    const assertions = rosters.sign(document, [sealed, second]);
    return guards.client('ledger', 'core').call('authorise', { document, assertions });
  };
  await assert.rejects(erase(6), code('cap'));
  await erase(1);
  // With everybody locked, the two keys are the way back.
  for (const target of ADMINS) {
    await guards.client('ledger', 'core').call('lock', { scope: 'admin', target, reason: 'an owned core' });
    await guards.client('sealer', 'core').call('lock', { scope: 'admin', target, reason: 'an owned core' });
  }
  const unlock = guards.unlock('admin', ADMINS[0]);
  const body = { document: unlock, assertions: rosters.sign(unlock, [sealed, second]) };
  await guards.client('sealer', 'glass').call('unlock', body);
  await guards.client('ledger', 'glass').call('unlock', body);
  await guards.reveal([], { subjects: people(1) }, 0);
  // A clock set back gives the hour no second length: the guard's own running time ends it.
  guards.now! -= 30 * HOUR;
  guards.ran = HOUR + 1;
  await assert.rejects(read(sealed, 1, { notAfter: guards.ledger.gate.time.now() + 60_000 }), code('refused'));
});

test('a drill proves key and custodians, opens nothing and uses nothing up', async () => {
  const [sealed, , one, two] = (await rosters.registerSealed()) as SoftwarePasskey[];
  await rosters.open([sealed!, one!, two!], true);
  await assert.rejects(read(sealed!, 1), code('refused'));
  assert.equal(guards.ledger.roster().breakGlass.state, 'sealed');
  assert.equal(guards.ledger.roster().breakGlass.drilledAt, guards.now);
  assert.equal((await rosters.entries('breakglass.drilled')).length, 1);
  await restart();
  await rosters.open([sealed!, one!, two!]);
  await read(sealed!, 1);
});

test('an opening is taken once: no replay, none for another purpose, none from another site', async () => {
  const keys = (await rosters.registerSealed()) as SoftwarePasskey[];
  const three = [keys[0]!, keys[2]!, keys[3]!];
  const notAfter = guards.clock() + 60_000;
  const drill: BreakGlass = {
    v: 1,
    op: 'break-glass',
    id: uuidv7(),
    drill: true,
    purpose: 'a test of the glass',
    notAfter,
  };
  const assertions = rosters.sign(drill, three);
  const glass = guards.client('ledger', 'glass');
  await glass.call('break-glass', { document: drill, assertions });
  const turned = { ...drill, drill: false };
  await assert.rejects(glass.call('break-glass', { document: turned, assertions }), code('refused'));
  const open = { ...drill, id: uuidv7(), drill: false };
  const elsewhere = three.map((key) => touch(key, open, { origin: 'https://console.example' }));
  await assert.rejects(glass.call('break-glass', { document: open, assertions: elsewhere }), code('refused'));
  const late = { ...open, notAfter: guards.clock() - 1 };
  await assert.rejects(
    glass.call('break-glass', { document: late, assertions: rosters.sign(late, three) }),
    code('expired'),
  );
});

test('the recovery key makes the roster anew, in the open; nobody else does, and none without it', async () => {
  const links = ['admin-nora', 'admin-otto', 'admin-pia'].map((admin) => ({ admin, ...newLink() }));
  const document = (more: Partial<Refound> = {}): Refound => ({
    ...{ v: 1, op: 'refound', id: uuidv7(), org: ORG, roster: guards.ledger.gate.state.roster.version },
    founders: links.map(({ admin, tokenSha256 }) => ({ admin, tokenSha256 })),
    ...{ purpose: 'everybody was locked out', notAfter: guards.clock() + HOUR },
    ...more,
  });
  const hand = async (given: Refound, key = recovery.privateKey) => {
    const body = { document: given, signature: signBody(key, given) };
    await guards.client('ledger', 'glass').call('refound', body);
    await guards.client('sealer', 'glass').call('refound', body);
  };
  await assert.rejects(hand(document(), generateKeyPairSync('ed25519').privateKey), code('refused'));
  await assert.rejects(hand(document({ org: 'org-other' })), code('refused'));
  await assert.rejects(hand(document({ roster: 7 })), code('outdated'));
  for (const target of ADMINS) await rosters.lock('admin', target, (ADMINS.indexOf(target) + 1) % 3).catch(() => {});
  const made = document();
  await hand(made);
  await hand(made);
  const { ledger, sealer } = rosters.digests();
  assert.equal(ledger, sealer);
  await assert.rejects(guards.reveal([], { subjects: people(1) }, 0), code('refused'), 'the old roster is gone');
  const nora = newPasskey({ admin: 'admin-nora' });
  await guards.enrol(nora, links[0]!.token);
  await restart();
  const grant = guards.grant(newBrowser(), people(1), { admin: 'admin-nora' });
  await guards.client('sealer', 'glass').call('reveal', { grant, assertion: touch(nora, grant), rows: [] });
  const [entry] = await rosters.entries('roster.refounded');
  assert.deepEqual(entry!.detail['founders'], ['admin-nora', 'admin-otto', 'admin-pia']);
  await guards.close();
  guards = await Guards.start();
  rosters = new Rosters(guards);
  await assert.rejects(hand(document()), code('refused'), 'founded without a recovery key');
});
