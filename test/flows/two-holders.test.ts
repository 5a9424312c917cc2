import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trustHolder } from '#fleet';
import { Phone } from '#sim';
import { tx } from '#store';
import { held, renewing } from '../interop/renewal-stage.ts';

// Somebody copied a phone's key, its certificate and its identifier. He cannot be told from the phone, until one of the two
// renews: from then on the other one's certificate is old, and is still spoken with.
const ME = 'amber-otter-4821';

/** A phone, and a copy of it in another's hands, after one of them renewed. */
async function split(t: Parameters<typeof renewing>[0], who: 'phone' | 'thief') {
  const stage = await renewing(t, 1);
  const { handle, phone } = stage.phones[0]!;
  const thief = new Phone(structuredClone(phone.state), { ...phone.options });
  const [first, other] = who === 'phone' ? [phone, thief] : [thief, phone];
  await stage.left(50);
  await stage.round();
  const before = held(first);
  await first.poll();
  assert.notEqual(held(first), before, 'it renewed');
  const { plane } = stage;
  const since = () =>
    plane.asOwner(
      `update fleet.certificate set revoked_at = revoked_at - interval '3 minutes' where revoked_at is not null`,
      [],
    );
  const states = async () =>
    (
      await stage.rows<{ line: string }>(
        `select request_type || ' ' || k.state as line from fleet.command k join fleet.device d on d.id = k.device_id
         where d.handle = $1 and request_type <> 'InstallProfile' order by queued_at, uuid`,
        [handle],
      )
    ).map(({ line }) => line);
  return { ...stage, handle, phone, thief, first, other, since, states };
}
const refused = { status: 400 };

for (const who of ['phone', 'thief'] as const) {
  test(`the ${who} renewed, the other still speaks: it is told, and nothing more is handed to either`, async (t) => {
    const { plane, handle, first, other, since, states, events } = await split(t, who);
    await plane.order('SecurityInfo', [handle]);
    await assert.rejects(other.poll(), refused);
    assert.equal((await events('device.two_holders')).length, 0, 'a message that was under way');
    await since();
    await assert.rejects(other.poll(), refused);
    await assert.rejects(other.updateToken(), refused);
    assert.deepEqual(await events('device.two_holders'), [
      { held: 1, kind: 'device.two_holders', source: 'bartizan_edge' },
    ]);
    await plane.order('ProfileList', [handle]);
    await plane.order('DeviceLock', [handle]);
    assert.deepEqual(await states(), ['SecurityInfo held', 'ProfileList held', 'DeviceLock queued']);
    assert.equal(await first.poll(), 1, 'a lock reaches whoever it is');
    // Beginning again with what he holds does not help him.
    await first.checkInWith({ MessageType: 'TokenUpdate', Topic: 'x', Token: Buffer.alloc(32), PushMagic: 'm' });
    await plane.order('SecurityInfo', [handle]);
    assert.equal(await first.poll(), 0);
    await tx(plane.console, (db) => trustHolder(db, { device: handle, by: ME }));
    assert.equal(await first.poll(), 3);
    await assert.rejects(
      tx(plane.console, (db) => trustHolder(db, { device: handle, by: ME })),
      { code: 'not-held' },
    );
    await assert.rejects(other.poll(), refused);
    assert.equal((await events('device.two_holders')).length, 2, 'whoever trusts too early is told again');
  });
}

test('an old certificate under another identifier, of a device that left, or never used is no second holder', async (t) => {
  const { plane, first, other, since, events } = await split(t, 'phone');
  await since();
  const liar = new Phone({ ...structuredClone(other.state), udid: `${other.state.udid}X` }, { ...other.options });
  await assert.rejects(liar.poll(), refused);
  assert.equal((await events('device.two_holders')).length, 0);
  await plane.asOwner(`update fleet.certificate set seen_at = null where revoked_at is not null`, []);
  await assert.rejects(other.poll(), refused);
  assert.equal((await events('device.two_holders')).length, 0);
  await plane.asOwner(`update fleet.certificate set seen_at = now() where revoked_at is not null`, []);
  await first.removeManagement();
  await assert.rejects(other.poll(), refused);
  assert.equal((await events('device.two_holders')).length, 0);
});
