import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askAttestation, deviceIdentity, readAttestationRoots, reattest, setReattestation } from '#fleet';
import { type AttestationClaims, AttestationServer, KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { toPem } from '#wire';
import { devicePlane } from './phone-stack.ts';
import { DAY } from './renewal-stage.ts';

// Asking devices again what Apple's servers vouch for. No Apple server was seen: the simulator keeps Apple's rules as written.
const keyPool = new KeyPool();
const BY = 'amber-otter-4821';

async function plane(t: TestContext) {
  const apple = new AttestationServer();
  const on = await devicePlane({}, { roots: [apple.rootPem] });
  const line = openLine();
  t.after(async () => {
    line.close();
    await on.close();
  });
  // Ahead of the database's, which says when somebody asked.
  let ahead = 1_000;
  const clock = {
    get now() {
      return Date.now() + ahead;
    },
    set now(at: number) {
      ahead = at - Date.now();
    },
  };
  const enrol = async (server: AttestationServer | undefined = apple) => {
    const [offer] = await on.offer(1);
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), {
      ...{ send: line.send, keyPool, clock: () => clock.now },
      ...(server === undefined ? {} : { attestationServer: server }),
    });
    await phone.enrol(offer!.link);
    return { phone, handle: offer!.device };
  };
  const identity = (handle: string) => deviceIdentity(on.console, handle);
  return {
    ...{ plane: on, apple, clock, enrol, identity },
    plan: (days: number) => tx(on.console, (c) => setReattestation(c, { days, by: BY })),
    ask: (handle: string) => tx(on.console, (c) => askAttestation(c, handle, BY)),
    round: () =>
      reattest(on.core, { signKey: on.signKey, roots: readAttestationRoots([apple.rootPem]), now: clock.now }),
    again: async (handle: string) => {
      const { again } = await identity(handle);
      return [again?.state, again?.result, again?.reason];
    },
    events: async (kind: string) =>
      (
        await on.core.query<{ detail: Record<string, unknown> }>(
          `select body->'unmapped' as detail from log.event where kind = $1 order by seq`,
          [kind],
        )
      ).rows.map((one) => one.detail),
  };
}

/** Servers that vouch for something else than the phone says of itself. */
const bent = (apple: AttestationServer, change: (claims: AttestationClaims) => AttestationClaims) =>
  ({
    attest: (key: Parameters<AttestationServer['attest']>[0], claims: AttestationClaims) =>
      apple.attest(key, change(claims)),
  }) as AttestationServer;

test('every seven days a phone is asked with a nonce of its own: the chain is kept, OpenSSL verifies it, the facts are shown with their time', async (t) => {
  const { plane: on, apple, clock, enrol, plan, round, again, identity, events } = await plane(t);
  const { phone, handle } = await enrol();
  await on.order('DeviceInformation', [handle]);
  await phone.poll();
  assert.equal(await round(), 0, 'never, unless somebody says so');
  await assert.rejects(plan(3), 'Apple makes none so often');
  await plan(7);
  assert.equal(await round(), 1);
  assert.equal(await round(), 0, 'one question at a time');
  assert.equal(await phone.poll(), 1);
  await round();
  assert.deepEqual(await again(handle), ['idle', 'fresh', null]);
  const { attestations } = await identity(handle);
  assert.deepEqual(
    attestations.map((one) => [one.via, one.serial, one.udid, one.facts['osVersion'], one.current]),
    [['device-information', phone.state.serial, phone.state.udid, '18.1', false]],
  );
  const rows = await on.owner<{ chain: Buffer[]; nonce: Buffer; freshness: Buffer; facts: object }>(
    `select a.chain, r.nonces[1] as nonce, a.freshness, i.facts from fleet.attestation a
     join fleet.reattestation r on r.device_id = a.device_id
     join fleet.inventory i on i.device_id = a.device_id and i.kind = 'DeviceInformation'`,
    [],
  );
  assert.deepEqual(rows[0]!.nonce, rows[0]!.freshness);
  assert.equal(rows[0]!.nonce.length, 32);
  assert.ok(
    'OSVersion' in rows[0]!.facts && !('DevicePropertiesAttestation' in rows[0]!.facts),
    'the inventory stays what it was',
  );
  const dir = mkdtempSync(join(tmpdir(), 'btz-again-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'root.pem'), apple.rootPem);
  for (const [i, der] of rows[0]!.chain.entries()) writeFileSync(join(dir, `${i}.pem`), toPem('CERTIFICATE', der));
  const verify = ['verify', '-CAfile', 'root.pem', '-untrusted', '1.pem', '0.pem'];
  assert.match(execFileSync('openssl', verify, { cwd: dir, encoding: 'utf8' }), /OK/);
  // A week later: an update since, a fresh one, another nonce.
  Object.assign(phone.state, { osVersion: '18.2' });
  clock.now += 7 * DAY;
  await round();
  await phone.poll();
  await round();
  const later = (await identity(handle)).attestations;
  assert.deepEqual(
    later.map((one) => one.facts['osVersion']),
    ['18.2', '18.1'],
  );
  assert.deepEqual(await events('device.attestation_differs'), [], 'an update is no lie');
  assert.deepEqual(on.problems, []);
});

test('asked sooner than Apple makes a fresh one: the one from then is known by its nonce, and nothing new is claimed', async (t) => {
  const { clock, enrol, ask, round, again, identity } = await plane(t);
  const { phone, handle } = await enrol();
  for (const [wait, result] of [
    [0, 'fresh'],
    [DAY, 'cached'],
    [5 * DAY, 'cached'],
    [DAY + 1, 'fresh'],
  ] as const) {
    clock.now += wait;
    assert.equal(await ask(handle), true);
    assert.equal(await round(), 1);
    assert.equal(await ask(handle), false, 'it is being asked already');
    await phone.poll();
    await round();
    assert.deepEqual(await again(handle), ['idle', result, null]);
  }
  assert.equal((await identity(handle)).attestations.length, 2);
});

test('an attestation that came while its answer was lost is kept with the time of its question', async (t) => {
  const { clock, enrol, ask, round, again, identity } = await plane(t);
  const { phone, handle } = await enrol();
  await ask(handle);
  await round();
  const then = clock.now;
  phone.behaviour.loseResult = 1;
  await phone.poll();
  // The question is forgotten after a day of silence; a later one gets what the phone has ready.
  clock.now += DAY;
  await round();
  assert.deepEqual((await again(handle))[1], 'silent');
  await ask(handle);
  await round();
  await phone.poll();
  await round();
  assert.deepEqual(await again(handle), ['idle', 'cached', null]);
  const [one] = (await identity(handle)).attestations;
  assert.ok(Math.abs(one!.attestedAt.getTime() - then) < 10_000, 'no newer than the question that it answers');
});

test('what does not hold is refused and told: another root, another device, a nonce of nobody’s, another phone’s attestation', async (t) => {
  const { apple, enrol, ask, round, again, identity, events } = await plane(t);
  const stranger = new AttestationServer();
  const other = await enrol();
  await ask(other.handle);
  await round();
  await other.phone.poll();
  await round();
  const cases = [
    [stranger, /does not lead to an attestation root/],
    [bent(apple, (claims) => ({ ...claims, serial: 'OTHERSERIAL1' })), /another device/],
    [bent(apple, (claims) => ({ ...claims, udid: '00008110-0000000000000000' })), /another device/],
    [bent(apple, ({ osVersion, freshness }) => ({ osVersion, freshness: freshness! })), /which device it is of/],
    [bent(apple, (claims) => ({ ...claims, freshness: Buffer.alloc(32, 7) })), /none of the nonces/],
  ] as const;
  for (const [server, why] of cases) {
    const { phone, handle } = await enrol(server);
    await ask(handle);
    await round();
    await phone.poll();
    await round();
    const [state, result, reason] = await again(handle);
    assert.deepEqual([state, result], ['idle', 'refused']);
    assert.match(String(reason), why);
    assert.deepEqual((await identity(handle)).attestations, []);
  }
  const thief = await enrol();
  thief.phone.state.attested = other.phone.state.attested!;
  await ask(thief.handle);
  await round();
  await thief.phone.poll();
  await round();
  assert.deepEqual((await again(thief.handle))[1], 'refused');
  assert.equal((await events('device.attestation_refused')).length, cases.length + 1);
  assert.equal((await events('device.attestation_mismatch')).length, 3);
});

test('a phone that claims a newer system than its hardware has is told of; one that cannot attest keeps its facts', async (t) => {
  const { plane: on, apple, enrol, ask, round, again, events } = await plane(t);
  const liar = await enrol(bent(apple, (claims) => ({ ...claims, osVersion: '17.2' })));
  const plain = new Phone(newPhone({ deviceName: 'an old phone' }), { send: liar.phone.options.send, keyPool });
  const [offer] = await on.offer(1);
  await plain.enrol(offer!.link);
  for (const one of [liar, { phone: plain, handle: offer!.device }]) {
    await on.order('DeviceInformation', [one.handle]);
    await one.phone.poll();
    await ask(one.handle);
    await round();
    await one.phone.poll();
    await round();
  }
  assert.deepEqual(await again(liar.handle), ['idle', 'fresh', null]);
  assert.deepEqual(
    (await events('device.attestation_differs')).map((one) => [one['fact'], one['attested'], one['reported']]),
    [['osVersion', '17.2', '18.1']],
  );
  assert.deepEqual(await again(offer!.device), ['idle', 'none', 'no-attestation']);
  const facts = await on.owner<{ version: string }>(
    `select i.facts->>'OSVersion' as version from fleet.inventory i join fleet.device d on d.id = i.device_id where d.handle = $1`,
    [offer!.device],
  );
  assert.deepEqual(facts, [{ version: '18.1' }], 'an answer without anything takes nothing away');
  assert.deepEqual(await events('device.attestation_missing'), [], 'it never had one');
  // The liar's servers are gone: it had one before, so that is worth a word.
  (liar.phone.options as { attestationServer?: AttestationServer }).attestationServer = undefined as never;
  await ask(liar.handle);
  await round();
  await liar.phone.poll();
  await round();
  assert.deepEqual(
    (await events('device.attestation_missing')).map((one) => one['reason']),
    ['no-attestation'],
  );
});

test('an attestation that nobody asked for is dropped, and what comes with it is kept', async (t) => {
  const { plane: on, apple, enrol, identity } = await plane(t);
  const { phone, handle } = await enrol();
  await on.owner(
    `insert into fleet.inventory (device_id, kind, facts)
     select id, 'DeviceInformation', '{"OSVersion": "18.1", "DevicePropertiesAttestation": ["AAAA"]}' from fleet.device where handle = $1`,
    [handle],
  );
  const facts = await on.owner<{ facts: object }>('select facts from fleet.inventory', []);
  assert.deepEqual(facts, [{ facts: { OSVersion: '18.1' } }]);
  assert.deepEqual((await identity(handle)).attestations, []);
  assert.equal(await phone.poll(), 0);
  assert.ok(apple.root.length > 0);
});
