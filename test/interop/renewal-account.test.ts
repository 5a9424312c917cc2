import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { deviceIdentity, type IdentityKind } from '#fleet';
import {
  AttestationServer,
  DeviceAuthority,
  enrolAccount,
  Hunter,
  IdentityProvider,
  inventPeople,
  KeyPool,
  newPhone,
  openLine,
  Phone,
  plainWebView,
} from '#sim';
import { devicePlane } from './phone-stack.ts';
import { HOUR, held, renewals } from './renewal-stage.ts';

// Devices that were enrolled by account renew with a profile that names the account. Nobody keeps it: the device carries it.
const keyPool = new KeyPool();
const authority = new DeviceAuthority();
const apple = new AttestationServer();
const people = inventPeople(2);

async function accounts(
  t: TestContext,
  policy: IdentityKind = 'scep',
  deviceEnrolment: readonly ('iPad' | 'iPhone')[] = [],
) {
  const idp = new IdentityProvider();
  const issuer = await idp.start();
  for (const [i, { email }] of people.entries()) idp.users.push({ email, password: 'right', sub: `u${i}` });
  const settings = {
    ...{ issuer, clientId: idp.client.id, clientSecret: idp.client.secret, scopes: 'openid email' },
    ...{ accountClaim: 'email', ...(deviceEnrolment.length === 0 ? {} : { deviceEnrolment }) },
  };
  const plane = await devicePlane({ account: settings }, { policy, roots: [apple.rootPem] });
  idp.client.redirect = `${plane.url}/account/signed-in`;
  const line = openLine();
  t.after(async () => {
    line.close();
    idp.close();
    await plane.close();
  });
  const stage = renewals(plane);
  return {
    ...stage,
    ...{ plane, line },
    enrol: async (person = people[0]!, kind: 'iPhone' | 'iPad' = 'iPhone') => {
      const phone = new Phone(newPhone({ deviceName: 'a phone', kind }), {
        ...{ send: line.send, keyPool, attestationServer: apple },
      });
      await enrolAccount(phone, {
        ...{ domain: plane.url, account: person.email, signIn: plainWebView(person.email, 'right') },
        ...{ identity: authority.identity(phone.state.udid) },
        ...(deviceEnrolment.length === 0 ? {} : { kind: 'mdm-adde' as const }),
      });
      const id = phone.state.enrolment!.enrollmentId ?? phone.state.udid;
      const [row] = await stage.rows<{ handle: string }>('select handle from fleet.device where udid = $1', [id]);
      return { phone, handle: row!.handle };
    },
  };
}

for (const policy of ['scep', 'acme-attested'] as const) {
  test(`a holder’s own device renews by ${policy}, and its account is nowhere but in what goes back to it`, async (t) => {
    const { plane, enrol, left, round, renewal, good, rows, events } = await accounts(t, policy);
    const { phone, handle } = await enrol();
    const before = { sha256: held(phone), enrolment: phone.state.enrolment! };
    await left(50);
    assert.equal(await round(), 1);
    assert.equal(await phone.poll(), 1);
    assert.deepEqual(await renewal(handle), { state: 'done', attempts: 1, reason: null });
    assert.notEqual(held(phone), before.sha256);
    assert.equal(phone.state.enrolment!.account, people[0]!.email);
    assert.equal(phone.state.enrolment!.enrollmentId, before.enrolment.enrollmentId, 'it is who it was');
    assert.deepEqual(
      (await good(handle)).map((one) => [one.pinned, one.sha256.toString('hex')]),
      [[true, held(phone)]],
    );
    assert.equal(await phone.poll(), 0);
    const { kind, attestations } = await deviceIdentity(plane.console, handle);
    assert.equal(kind, policy);
    assert.deepEqual(
      attestations.map((one) => [one.serial, one.udid, one.current]),
      policy === 'scep'
        ? []
        : [
            [null, null, true],
            [null, null, false],
          ],
      'Apple says of the key alone',
    );
    assert.equal((await events('device.account_opened')).length, 1);
    const tables = await plane.owner<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname !~ '^(pg_|information_schema)'`,
      [],
    );
    const text: string[] = [];
    for (const { name } of tables)
      text.push(
        ...(await plane.owner<{ row: string }>(`select row_to_json(x)::text as row from ${name} x`, [])).map(
          (one) => one.row,
        ),
      );
    text.push(
      ...(await rows<{ body: string }>(`select encode(body, 'escape') as body from fleet.command`)).map(
        (one) => one.body,
      ),
    );
    const box = new URL(before.enrolment.serverUrl).searchParams.get('account')!;
    assert.ok(box.length > 400);
    assert.deepEqual(new Hunter([people[0]!.email, box]).search(Buffer.from(text.join('\n'))), []);
    assert.deepEqual(plane.problems, []);
    // And the year after it works again.
    await rows(`update fleet.renewal set state = 'done'`);
    await left(40);
    await round();
    await phone.poll();
    assert.equal((await renewal(handle))!.state, 'done');
  });
}

test('a whole device that was enrolled by account renews with its account and its rights', async (t) => {
  const { enrol, left, round, renewal, good } = await accounts(t, 'scep', ['iPad']);
  const { phone, handle } = await enrol(people[1]!, 'iPad');
  const { accessRights } = phone.state.enrolment!;
  await left(50);
  await round();
  await phone.poll();
  assert.equal((await renewal(handle))!.state, 'done');
  assert.deepEqual(
    [phone.state.enrolment!.account, phone.state.enrolment!.accessRights],
    [people[1]!.email, accessRights],
  );
  assert.equal((await good(handle)).length, 1);
});

test('without its own box no profile leaves: none, another device’s, a changed one; the attempt fails and is repeated', async (t) => {
  const { plane, clock, enrol, left, round, renewal, rows } = await accounts(t);
  const [one, other] = [await enrol(), await enrol(people[1]!)];
  const enrolment = one.phone.state.enrolment!;
  const boxOf = (phone: Phone) => new URL(phone.state.enrolment!.serverUrl).searchParams.get('account')!;
  const own = boxOf(one.phone);
  await left(50);
  const changed = `${own.slice(0, 60)}${own[60] === 'A' ? 'B' : 'A'}${own.slice(61)}`;
  for (const query of ['', `?account=${boxOf(other.phone)}`, `?account=${changed}`]) {
    await round();
    one.phone.state.enrolment = { ...enrolment, serverUrl: `${plane.url}/mdm${query}` };
    assert.equal(await one.phone.poll(), 0, 'nothing leaves');
    await round();
    assert.deepEqual(
      [(await renewal(one.handle))!.state, (await renewal(one.handle))!.reason],
      ['due', 'CommandRefused'],
    );
    clock.now += 3 * HOUR;
  }
  one.phone.state.enrolment = enrolment;
  await round();
  await one.phone.poll();
  assert.equal((await renewal(one.handle))!.state, 'done');
  // The key is given out for the command of a renewal and for none other, and is gone with the device.
  const key = async (uuid: string) =>
    (await plane.owner<{ key: Buffer | null }>('select edge.account_key($1, $2) as key', [other.handle, uuid]))[0]!.key;
  const [sent] = await rows<{ uuid: string }>(
    `select r.command_uuid as uuid from fleet.renewal r join fleet.device d on d.id = r.device_id where d.handle = $1`,
    [other.handle],
  );
  assert.equal((await key(sent!.uuid))?.length, 32);
  assert.equal(await key('00000000-0000-7000-8000-000000000000'), null);
  await other.phone.removeManagement();
  assert.equal(await key(sent!.uuid), null);
  const kept = await plane.owner<{ n: number }>(
    'select count(*)::int as n from fleet.account_device where renewal_key is not null',
    [],
  );
  assert.deepEqual(kept, [{ n: 1 }]);
});
