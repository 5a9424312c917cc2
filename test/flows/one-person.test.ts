import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fromBase64url, sha256, toBase64url, uuidv7 } from '#base';
import { assignApp, requestRetirement, saveApp, sendApps } from '#fleet';
import { membersDigest, NIL_UUID, signDelivery, signFanOut } from '#seal';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { buildCommand, type CommandRequest } from '#wire';
import { Deliveries } from '../../src/edge/delivery.ts';
import type { Turn } from '../../src/edge/turns.ts';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// What one administrator, one owned console or an owned core must not do to many phones: bring an app from a foreign host,
// and take management from them.
const ME = 'amber-otter-4821';
const HOST = 'https://apps.evil.example/manifest.plist';
const OWN = 'org.bartizan.enrolment';
const line = openLine({ sockets: 2 });
const keys = new KeyPool();
const devices: string[] = [];
const phones: Phone[] = [];
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
  for (const { device, link } of await plane.offer(4)) {
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: keys });
    await phone.enrol(link);
    devices.push(device);
    phones.push(phone);
  }
});
after(async () => {
  line.close();
  await plane.close();
});

const did = (verb: string) =>
  phones.flatMap(({ state }) => Object.values(state.executed)).filter(({ requestType }) => requestType === verb).length;
/** An intent as the console's role can write it, past all checks of its own code. */
async function plant(verb: string, params: object, targets = [devices[0]!], by = ME): Promise<string> {
  const id = uuidv7();
  await plane.console.query(
    `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state)
     values ($1, $2, 'read', $3, $4, $5, 'planted here', 'ready')`,
    [id, verb, JSON.stringify(params), JSON.stringify(targets.map((device) => ({ device, uuid: uuidv7() }))), by],
  );
  return id;
}
async function dispatched(id: string): Promise<string> {
  while ((await plane.dispatch()) > 0);
  const { rows } = await plane.core.query<{ line: string }>(
    `select state || coalesce(': ' || reason, '') as line from fleet.intent where id = $1`,
    [id],
  );
  return rows[0]!.line;
}
/** A command that an owned core signs, past its own checks. */
function signed(request: CommandRequest, device = devices[0]!): Turn {
  const uuid = randomUUID();
  const body = buildCommand(uuid, request);
  const statement = { device, uuid, verb: request.verb, body: toBase64url(sha256(body)) };
  const signature = Buffer.from(fromBase64url(signDelivery(plane.signKey, statement)));
  return {
    verdict: 'own',
    handle: device,
    uuid,
    request_type: request.verb,
    body,
    signature,
    permit: null,
    fan_out: null,
  };
}
const judge = () =>
  new Deliveries({ pool: plane.edge, keys: plane.keys, origin: plane.url } as ConstructorParameters<
    typeof Deliveries
  >[0]);
const fault = async (deliveries: Deliveries, turn: Turn, now = Date.now()) => {
  const judged = await deliveries.judge(turn, now);
  return 'fault' in judged ? judged.fault : 'leaves';
};

test('an app by the address of its manifest needs two people: at the console, in core and at edge', async () => {
  const app = { args: { ManifestURL: HOST } };
  assert.equal(await dispatched(await plant('InstallApplication', app)), 'refused: approval-missing');
  const stated = await plane.state({ verb: 'InstallApplication', devices: [devices[0]!], params: app });
  assert.deepEqual([stated.state, stated.approval?.verb], ['awaiting-approval', 'InstallApplication']);
  const turn = signed({ verb: 'InstallApplication', args: { ManifestURL: HOST } });
  assert.equal(await fault(judge(), turn), 'permit-missing');
  // Not on our own address either: what stands behind /data is one person's to put there.
  const own = signed({
    verb: 'InstallApplication',
    args: { ManifestURL: `https://edge.example/data/${'a'.repeat(43)}` },
  });
  assert.equal(await fault(judge(), own), 'permit-missing');
  assert.equal(await fault(judge(), signed({ verb: 'InstallApplication', args: { Identifier: 'a.b' } })), 'leaves');
  for (const phone of phones) await phone.poll();
  assert.equal(did('InstallApplication'), 0);
});

test('an app of our own that is assigned to a group waits for two people, in portions that they can read', async () => {
  const group = uuidv7();
  await plane.console.query(
    `insert into fleet.device_group (id, name, filter, created_by) values ($1, 'all', '{"all":[]}', $2)`,
    [group, ME],
  );
  await plane.core.query(
    'select fleet.set_group_members($1, 1, array(select id from fleet.device where handle = any($2)), null)',
    [group, devices],
  );
  const app = await tx(plane.console, (t) =>
    saveApp(t, { identifier: 'org.example.own', name: 'Own', manifestUrl: HOST, by: ME }),
  );
  await tx(plane.console, (t) => assignApp(t, { app, group, by: ME }));
  const asked: number[] = [];
  const requestApproval = async (_: unknown, { commands }: { commands: readonly unknown[] }) =>
    void asked.push(commands.length);
  const doors = { requestApproval, now: Date.now, origin: plane.url };
  assert.equal(await sendApps(plane.core, doors), 4);
  assert.deepEqual(asked, [4]);
  while ((await plane.dispatch()) > 0);
  for (const phone of phones) await phone.poll();
  assert.equal(did('InstallApplication'), 0);
  assert.equal(await sendApps(plane.core, doors), 0, 'asked once');
});

test('one person takes management from 20 phones an hour, all admins together; more needs two', async () => {
  const many = (n: number) => Array.from({ length: n }, () => devices[0]!);
  const states: string[] = [];
  for (let n = 0; n < 4; n += 1)
    states.push(
      await dispatched(
        await plant(
          'RemoveProfile',
          { identifier: n % 2 ? OWN : OWN.toUpperCase() },
          many(7),
          `azure-heron-${2000 + n}`,
        ),
      ),
    );
  assert.deepEqual(states, ['dispatched', 'dispatched', 'refused: approval-missing', 'refused: approval-missing']);
  const retired = await tx(plane.console, (t) =>
    requestRetirement(t, {
      ...{ devices: devices.slice(1), way: 'unenrol', requester: ME, purpose: 'a test of retiring', now: Date.now() },
    }),
  );
  assert.equal(retired.approval, undefined, 'within the hour’s number');
  await plane.asOwner(`update fleet.intent set targets = $1 where verb = 'RemoveProfile' and state = 'dispatched'`, [
    JSON.stringify(many(20).map((device) => ({ device, uuid: uuidv7() }))),
  ]);
  const beyond = await plane.state({ verb: 'RemoveProfile', devices: [devices[2]!], params: { identifier: OWN } });
  assert.deepEqual([beyond.state, beyond.approval?.commands.length], ['awaiting-approval', 1]);
  const other = await plane.state({ verb: 'RemoveProfile', devices, params: { identifier: 'org.example.wifi' } });
  assert.equal(other.state, 'ready', 'another profile is as before');
});

test('a phone of another server loses no profile that is not of our library without the same count', async () => {
  await plane.asOwner(
    `insert into fleet.device (handle, state, udid, certificate_sha256, enrolled_at)
     values ('oak-lantern-2001', 'enrolled', 'IMPORTED', sha256('x'), now())`,
    [],
  );
  const state = await plane.state({
    ...{ verb: 'RemoveProfile', devices: ['oak-lantern-2001'], params: { identifier: 'com.micromdm.enroll' } },
  });
  assert.equal(state.state, 'awaiting-approval', 'the hour’s number was used up above');
  // Once its profile is known, that one alone.
  await plane.asOwner(
    `insert into fleet.foreign_profile (device_id, identifier, mdm_identifier, server_url, check_in_url, access_rights, added_by)
     select id, 'com.micromdm.enroll', 'm', 'https://old.example/mdm', 'https://old.example/mdm', 8191, $1 from fleet.device
     where handle = 'oak-lantern-2001'`,
    [ME],
  );
  const remove = (identifier: string) =>
    plane.state({ verb: 'RemoveProfile', devices: ['oak-lantern-2001'], params: { identifier } });
  assert.equal((await remove('Com.Micromdm.enroll')).state, 'awaiting-approval');
  assert.equal((await remove('org.example.wifi')).state, 'ready');
});

test('an owned core takes management from 20 phones an hour at edge; the rest waits, and none by a command to many', async () => {
  const deliveries = judge();
  const remove = () => signed({ verb: 'RemoveProfile', identifier: OWN });
  const at = Date.now();
  const first = remove();
  const said: string[] = [await fault(deliveries, first, at), await fault(deliveries, first, at)];
  for (let n = 0; n < 24; n += 1) said.push(await fault(deliveries, remove(), at));
  assert.deepEqual(
    [said.filter((one) => one === 'leaves').length, said.filter((one) => one === 'later').length],
    [21, 5],
    'a repeated delivery counts once',
  );
  assert.equal(await fault(deliveries, remove(), at + 3_601_000), 'leaves');
  assert.equal(
    await fault(deliveries, signed({ verb: 'RemoveProfile', identifier: 'org.example.wifi' }), at),
    'leaves',
  );

  const id = uuidv7();
  const template = buildCommand(NIL_UUID, { verb: 'RemoveProfile', identifier: OWN });
  const statement = {
    ...{ id, verb: 'RemoveProfile', template: toBase64url(sha256(template)) },
    ...{ members: membersDigest([devices[0]!]), count: 1 },
  };
  await plane.core.query(
    'insert into fleet.fan_out (id, verb, template, members_sha256, members, signature) values ($1, $2, $3, $4, 1, $5)',
    [
      ...[id, 'RemoveProfile', template, fromBase64url(statement.members)],
      Buffer.from(fromBase64url(signFanOut(plane.signKey, statement))),
    ],
  );
  await plane.core.query(
    `insert into fleet.command (uuid, device_id, request_type, fan_out_id, key)
     select fleet.fan_out_uuid($1, d.handle), d.id, 'RemoveProfile', $1, 'x' from fleet.device d where d.handle = $2`,
    [id, devices[0]],
  );
  const { rows } = await plane.core.query<{ uuid: string }>('select uuid from fleet.command where fan_out_id = $1', [
    id,
  ]);
  const part = { ...first, uuid: rows[0]!.uuid, body: null, signature: null, fan_out: id };
  assert.equal(await fault(deliveries, part as Turn), 'permit-missing');
});
