import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claimsOf, decideClaim, expectSerial, linkAnew, offerEnrolments } from '#fleet';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// With SCEP a UDID is the phone's own word. Whoever holds a link that nobody has used says that he is a phone which is
// enrolled already: its enrolment must not end by that.
const ADA = 'amber-otter-4821';
const MARY = 'azure-heron-1357';
const line = openLine({ sockets: 2 });
const keys = new KeyPool();
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
});
after(async () => {
  line.close();
  await plane.close();
});

const open = (state = newPhone({ deviceName: 'a phone' })) => new Phone(state, { send: line.send, keyPool: keys });
/** Another phone that says that it is this one. */
const liar = ({ state }: Phone) =>
  open({ ...newPhone({ deviceName: 'not it' }), udid: state.udid, serial: state.serial });

async function offer(holder: string | null, ownership: 'organisation' | 'personal' = 'organisation') {
  const [made] = await tx(plane.console, (t) =>
    offerEnrolments(t, { createdBy: ADA, holders: [holder], ttlMs: 600_000, ownership }),
  );
  return { device: made!.device, link: `${plane.url}/enrol/${made!.token}` };
}
async function enrolled(holder: string | null, ownership: 'organisation' | 'personal' = 'organisation') {
  const { device, link } = await offer(holder, ownership);
  const phone = open();
  await phone.enrol(link);
  return { device, phone };
}
const stateOf = async (device: string) =>
  (await plane.core.query<{ state: string }>('select state from fleet.device where handle = $1', [device])).rows[0]!
    .state;
const told = async (kind: string, device: string) =>
  (
    await plane.core.query<{ detail: Record<string, unknown> }>(
      `select body->'unmapped' as detail from log.event where kind = $1 and device = $2 order by seq`,
      [kind, device],
    )
  ).rows.map(({ detail }) => detail);
const claims = () => claimsOf(plane.console);
const decide = (id: string, agree: boolean) => tx(plane.console, (t) => decideClaim(t, { id, agree, by: ADA }));

test('whoever holds an unused link does not become a phone that is enrolled, however often he tries', async () => {
  const { device, phone } = await enrolled(MARY);
  await plane.order('EraseDevice', [device]);
  const { device: other, link } = await offer(null);
  const attacker = liar(phone);
  await assert.rejects(attacker.enrol(link), 'the claim is refused');
  assert.equal(await stateOf(device), 'enrolled');
  await phone.poll();
  assert.equal(await phone.poll(), 0, 'the true phone is served as before');
  const refusals = await told('device.claim_refused', device);
  assert.equal(refusals.length, 1);
  assert.equal(refusals[0]!['as'], other);
  const [claim] = await claims();
  assert.equal(claim!.device, device);
  assert.equal(claim!.claimant, other);
});

test('a link for the same holder, and one that names the serial, enrol the phone anew', async () => {
  const { device, phone } = await enrolled(MARY);
  const again = await offer(MARY);
  await open({ ...phone.state }).enrol(again.link);
  assert.deepEqual([await stateOf(device), await stateOf(again.device)], ['checked_out', 'enrolled']);

  const pool = await enrolled(null);
  const named = await offer(null);
  await tx(plane.console, (t) => expectSerial(t, named.device, pool.phone.state.serial));
  await open({ ...pool.phone.state }).enrol(named.link);
  assert.deepEqual([await stateOf(pool.device), await stateOf(named.device)], ['checked_out', 'enrolled']);
});

test('no link makes the organisation’s phone its holder’s own, not even the holder’s', async () => {
  const { device, phone } = await enrolled(MARY);
  const { link } = await offer(MARY, 'personal');
  await assert.rejects(open({ ...phone.state }).enrol(link));
  assert.equal(await stateOf(device), 'enrolled');
});

test('a phone that left is enrolled anew by any link', async () => {
  const { device, phone } = await enrolled(null);
  await phone.removeManagement();
  assert.equal(await stateOf(device), 'checked_out');
  await phone.enrol((await offer(null)).link);
});

test('a link that was made to enrol this device anew does so, and keeps its holder and owner', async () => {
  const { device, phone } = await enrolled(MARY, 'personal');
  const made = await tx(plane.console, (t) => linkAnew(t, { device, by: ADA, ttlMs: 600_000 }));
  await open({ ...phone.state }).enrol(`${plane.url}/enrol/${made.token}`);
  assert.deepEqual([await stateOf(device), await stateOf(made.device)], ['checked_out', 'enrolled']);
  const { rows } = await plane.core.query('select holder, ownership from fleet.device where handle = $1', [
    made.device,
  ]);
  assert.deepEqual(rows, [{ holder: MARY, ownership: 'personal' }]);
  const other = await enrolled(null);
  const theirs = await tx(plane.console, (t) => linkAnew(t, { device: made.device, by: ADA, ttlMs: 600_000 }));
  await assert.rejects(liar(other.phone).enrol(`${plane.url}/enrol/${theirs.token}`), 'another device’s link is none');
});

test('an administrator who agrees lets the same link work once more; one who refuses ends it', async () => {
  const { device, phone } = await enrolled(null);
  const { device: fresh, link } = await offer(null);
  const erased = open({ ...phone.state });
  await assert.rejects(erased.enrol(link));
  const claim = (await claims()).find((one) => one.device === device)!;
  await decide(claim.id, true);
  assert.equal(await stateOf(device), 'enrolled', 'until the phone comes nothing has changed');
  await erased.enrol(link);
  assert.deepEqual([await stateOf(device), await stateOf(fresh)], ['checked_out', 'enrolled']);
  await assert.rejects(decide(claim.id, true), { code: 'not-open' });
  await assert.rejects(open().enrol(link), 'the link is spent');

  const second = await enrolled(null);
  const theirs = await offer(null);
  await assert.rejects(liar(second.phone).enrol(theirs.link));
  await decide((await claims()).find((one) => one.device === second.device)!.id, false);
  assert.equal(await stateOf(theirs.device), 'checked_out');
  assert.equal(await stateOf(second.device), 'enrolled');
  assert.equal((await told('device.claim_declined', second.device)).length, 1);
});

test('an owned console agrees for at most 20 phones an hour', async () => {
  const { phone } = await enrolled(null);
  await assert.rejects(liar(phone).enrol((await offer(null)).link));
  const [open] = await claims();
  await plane.asOwner(
    `insert into fleet.claim (id, device_id, held_by, state, decided_by, decided_at)
     select gen_random_uuid(), c.device_id, c.held_by, 'done', $2, now() from fleet.claim c, generate_series(1, 20) where c.id = $1`,
    [open!.id, ADA],
  );
  await assert.rejects(decide(open!.id, true), { code: 'too-many' });
});

test('and its links end no more than that together, whoever they are made for', async () => {
  const { device, phone } = await enrolled(MARY);
  const { link } = await offer(MARY);
  const again = open({ ...phone.state });
  await assert.rejects(again.enrol(link), 'the hour’s number was used up above');
  assert.equal(await stateOf(device), 'enrolled');
  const anew = await tx(plane.console, (t) => linkAnew(t, { device, by: ADA, ttlMs: 600_000 }));
  await assert.rejects(open({ ...phone.state }).enrol(`${plane.url}/enrol/${anew.token}`));
  await plane.asOwner(
    `update fleet.claim set decided_at = decided_at - interval '61 minutes' where decided_at is not null`,
    [],
  );
  await decide((await claims()).find((one) => one.device === device && one.claimant !== anew.device)!.id, true);
  await again.enrol(link);
  assert.equal(await stateOf(device), 'checked_out');
  await (await enrolled(null)).phone.removeManagement();
});
