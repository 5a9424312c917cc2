import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import { advanceRollouts, followFacts, sendApps } from '#fleet';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// Whoever owns the console process writes rows with the console's own rights. Core judges each anew; no row stops the others.
const ME = 'amber-otter-4821';
const line = openLine({ sockets: 2 });
const keys = new KeyPool();
let plane: DevicePlane;
const devices: string[] = [];
before(async () => {
  plane = await devicePlane();
  for (const { device, link } of await plane.offer(3)) {
    await new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: keys }).enrol(link);
    devices.push(device);
  }
});
after(async () => {
  line.close();
  await plane.close();
});

/** An intent as the console's role can write it, past all checks of its own code. */
async function plant(verb: string, more: { params?: unknown; targets?: unknown; by?: string; approval?: string } = {}) {
  const id = uuidv7();
  const targets = more.targets ?? [{ device: devices[0], uuid: uuidv7() }];
  await plane.console.query(
    `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state, approval_id)
     values ($1, $2, 'read', $3, $4, $5, 'planted here', 'ready', $6)`,
    [
      id,
      verb,
      JSON.stringify('params' in more ? more.params : {}),
      JSON.stringify(targets),
      more.by ?? ME,
      more.approval ?? null,
    ],
  );
  return id;
}
const intentState = async (id: string) =>
  (
    await plane.core.query<{ line: string }>(
      `select state || coalesce(': ' || reason, '') as line from fleet.intent where id = $1`,
      [id],
    )
  ).rows[0]!.line;

for (const [name, verb, more] of [
  ['an unknown verb', 'constructor', {}],
  ['no parameters', 'InstallProfile', { params: null }],
  ['a profile that is none', 'RemoveProfile', { params: { identifier: 7 } }],
  ['targets that are no list', 'SecurityInfo', { targets: {} }],
  ['a command id that is none', 'SecurityInfo', { targets: [{ device: 'amber-otter-4821', uuid: 'x' }] }],
] as const) {
  test(`an intent with ${name} is refused alone, and those behind it are sent`, async () => {
    const bad = await plant(verb, more);
    const good = await plant('SecurityInfo');
    await plane.dispatch();
    assert.match(await intentState(bad), /^refused: /);
    assert.equal(await intentState(good), 'dispatched');
  });
}

test('a lock that names an approval of its own invention is not sent', async () => {
  const id = await plant('DeviceLock', { approval: uuidv7() });
  await plane.dispatch();
  assert.equal(await intentState(id), 'refused: approval-missing');
});

test('a planted lock whose targets are no list stops no true lock', async () => {
  const bad = await plant('DeviceLock', { targets: { device: devices[0] } });
  const good = await plane.state({ verb: 'DeviceLock', devices: [devices[2]!] });
  assert.equal(await intentState(good.id), 'ready');
  // Taken back, so that it does not count below.
  await plane.console.query('select fleet.cancel_intent($1, $2)', [good.id, ME]);
  await plane.dispatch();
  assert.match(await intentState(bad), /^refused/);
});

test('invented requesters do not lock a fleet five at a time', async () => {
  const five = () => Array.from({ length: 5 }, () => ({ device: devices[0], uuid: uuidv7() }));
  const ids: string[] = [];
  for (let n = 0; n < 8; n += 1)
    ids.push(await plant('DeviceLock', { by: `amber-otter-${5000 + n}`, targets: five() }));
  await plane.dispatch();
  const states = await Promise.all(ids.map(intentState));
  assert.equal(states.filter((state) => state === 'dispatched').length, 5);
});

test('one approval speaks of one intent', async () => {
  const { approval } = await plane.state({ verb: 'EraseDevice', devices: [devices[0]!] });
  assert.ok(approval);
  await assert.rejects(plant('SecurityInfo', { approval: approval.id }), { code: '23505' });
});

test('a group’s question that nobody can ask is empty, and stops neither groups nor rules behind it', async () => {
  const deep = Array.from({ length: 500 }).reduce<unknown>((inner) => ({ not: inner }), { field: 'os', op: 'known' });
  const bad = [
    { all: [] },
    { field: 'constructor', op: 'is', value: 'x' },
    { field: 'os', op: 'constructor' },
    deep,
    null,
  ];
  for (const [n, filter] of bad.entries()) {
    await plane.console.query('insert into fleet.device_group (id, name, filter, created_by) values ($1, $2, $3, $4)', [
      ...[uuidv7(), `bad ${n}`, JSON.stringify(filter), ME],
    ]);
  }
  await plane.console.query(
    `insert into fleet.compliance_rule (id, name, condition, grace_hours, timed, created_by) values ($1, 'bad', '{"any": []}', 0, false, $2)`,
    [uuidv7(), ME],
  );
  const good = uuidv7();
  await plane.console.query('insert into fleet.device_group (id, name, filter, created_by) values ($1, $2, $3, $4)', [
    ...[good, 'good', JSON.stringify({ field: 'state', op: 'is', value: 'enrolled' }), ME],
  ]);
  while ((await followFacts(plane.core)) > 0);
  const { rows } = await plane.core.query<{ name: string; members: number }>(
    'select name, members from fleet.device_group where members > 0',
  );
  assert.deepEqual(rows, [{ name: 'good', members: 3 }]);
});

test('a rollout of what is no profile, or by a plan that is none, ends by itself and holds up no other', async () => {
  const [profile, version] = [uuidv7(), uuidv7()];
  await plane.console.query(
    `insert into fleet.profile (id, identifier, name, created_by) values ($1, 'hostile', 'hostile', $2)`,
    [profile, ME],
  );
  await plane.console.query(
    `insert into fleet.profile_version (id, profile_id, number, body, sha256, uuid, stored_by) values ($1, $2, 1, 'x', sha256('x'), 'x', $3)`,
    [version, profile, ME],
  );
  await plane.console.query(
    'insert into fleet.profile_assignment (id, profile_id, device_id, assigned_by) select $1, $2, id, $4 from fleet.device where handle = $3',
    [uuidv7(), profile, devices[0], ME],
  );
  const plan = [
    { percent: 10, atLeast: 5, soakHours: 1 },
    { percent: 100, atLeast: 0, soakHours: 1 },
  ];
  const start = async (given: unknown) =>
    plane.console.query(
      `insert into fleet.rollout (id, kind, subject_id, version_id, plan, requester, purpose) values ($1, 'profile', $2, $3, $4, $5, 'planted here')`,
      [uuidv7(), profile, version, JSON.stringify(given), ME],
    );
  const states = async () =>
    (await plane.core.query<{ state: string; why: string }>('select state, why from fleet.rollout order by started_at'))
      .rows;
  const step = () => advanceRollouts(plane.core, { requestApproval: async () => {}, now: Date.now, origin: plane.url });
  await start([null, null]);
  await step();
  await start(plan);
  await step();
  assert.deepEqual(
    (await states()).map(({ state }) => state),
    ['cancelled', 'cancelled'],
  );
});

test('an app whose configuration no command can carry holds up no other', async () => {
  const group = uuidv7();
  await plane.asOwner(
    `insert into fleet.device_group (id, name, filter, created_by) values ($1, 'app', '{}', 'core')`,
    [group],
  );
  await plane.asOwner(
    'insert into fleet.group_member (group_id, device_id) select $1, id from fleet.device where handle = $2',
    [group, devices[0]],
  );
  for (const [n, configuration] of ['{"a": 1e400}', '{}'].entries()) {
    const app = uuidv7();
    await plane.console.query(
      `insert into fleet.app (id, identifier, name, kind, manifest_url, configuration, created_by)
       values ($1, $2, 'an app', 'own', 'https://apps.example/manifest', $3, $4)`,
      [app, `org.example.${n}`, configuration, ME],
    );
    await plane.console.query(
      'insert into fleet.app_assignment (id, app_id, group_id, assigned_by) values ($1, $2, $3, $4)',
      [uuidv7(), app, group, ME],
    );
  }
  assert.equal(await sendApps(plane.core, { requestApproval: async () => {}, now: Date.now, origin: plane.url }), 1);
});

const declared = async (id: string, version = 1) =>
  (
    await plane.core.query<{ state: string }>(
      'select state from fleet.declaration_version where declaration_id = $1 and version = $2',
      [id, version],
    )
  ).rows[0]!.state;
async function plantDeclaration(identifier: string, type: string, payload: string) {
  const id = uuidv7();
  await plane.console.query(
    'insert into fleet.declaration (id, identifier, kind, type, created_by) values ($1, $2, $3, $4, $5)',
    [id, identifier, type.split('.')[2], type, ME],
  );
  await plane.console.query(
    `insert into fleet.declaration_version (declaration_id, version, payload, unchecked, state, author) values ($1, 1, $2, true, 'proposed', $3)`,
    [id, payload, ME],
  );
  return id;
}

test('a dangerous declaration that was written as proposed is marked as one for two people, assets too', async () => {
  const url = 'https://files.example/a';
  const dangerous = [
    ['com.apple.configuration.legacy', { ProfileURL: `https://edge.example/data/${'a'.repeat(43)}` }],
    ['com.apple.configuration.security.certificate', { CredentialAssetReference: 'hostile.3' }],
    ['com.apple.configuration.app.managed', { ManifestURL: url }],
    ['com.apple.asset.credential.certificate', { Reference: { DataURL: url, 'Hash-SHA-256': 'a'.repeat(64) } }],
    ['com.apple.asset.data', { Reference: { DataURL: url, 'Hash-SHA-256': 'a'.repeat(64) } }],
    ['com.apple.configuration.network.vpn', { Any: 1 }],
  ] as const;
  const ids: string[] = [];
  for (const [n, [type, payload]] of dangerous.entries())
    ids.push(await plantDeclaration(`hostile.${n}`, type, JSON.stringify(payload)));
  await plane.declare();
  assert.deepEqual(
    await Promise.all(ids.map((id) => declared(id))),
    ids.map(() => 'current'),
  );
  const { rows } = await plane.core.query<{ n: number }>(
    'select count(*)::int as n from fleet.declaration_version where guarded and declaration_id = any($1)',
    [ids],
  );
  assert.equal(rows[0]!.n, ids.length);
});

test('a declaration that nobody can make bytes of stops no other, takes none of our names, and names no person', async () => {
  const ids = [
    await plantDeclaration('hostile.number', 'com.apple.management.properties', '{"a": 1e400}'),
    await plantDeclaration('hostile.null', 'com.apple.management.properties', 'null'),
    await plantDeclaration(
      'hostile.person',
      'com.apple.asset.useridentity',
      '{"EmailAddress": "a.person@agency.example"}',
    ),
  ];
  const good = await plantDeclaration(
    'harmless.one',
    'com.apple.configuration.passcode.settings',
    '{"MinimumLength": 8}',
  );
  await plane.declare();
  assert.deepEqual(await Promise.all([...ids, good].map((id) => declared(id))), [
    'refused',
    'refused',
    'refused',
    'current',
  ]);
  const taken = plantDeclaration(
    `bartizan.set.${uuidv7()}`,
    'com.apple.activation.simple',
    '{"StandardConfigurations": []}',
  );
  await assert.rejects(taken, { code: '23514' });
});

test('a phone that reports for ever fills neither its history nor the log', async () => {
  const udid = 'AAAA';
  const certificate = Buffer.alloc(32, 9);
  await plane.asOwner(
    `insert into fleet.device (handle, state, udid, certificate_sha256) values ('oak-lantern-2001', 'enrolled', $1, $2)`,
    [udid, certificate],
  );
  const report = (round: number) => ({
    ...{ full: false, values: {}, errors: {} },
    lists: {
      'app.managed.list': {
        removed: [],
        set: Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`a${round}-${n}`, {}])),
      },
    },
    declarations: Array.from({ length: 60 }, (_, n) => ({
      ...{
        kind: 'configuration',
        identifier: `c${n}`,
        token: String(round),
        active: false,
        valid: 'invalid',
        reasons: [],
      },
    })),
  });
  for (let round = 0; round < 15; round += 1)
    await plane.owner('select * from edge.take_statuses($1)', [
      JSON.stringify([{ certificate: certificate.toString('hex'), udid, report: report(round) }]),
    ]);
  const [row] = await plane.owner<{ history: number; items: number; events: number }>(
    `select (select count(*)::int from fleet.status_change c where c.device_id = d.id) as history,
       (select count(*)::int from fleet.declared_status s, jsonb_object_keys(s.lists->'app.managed.list') where s.device_id = d.id) as items,
       (select count(*)::int from log.event e where e.device = d.handle and e.kind = 'declaration.invalid') as events
     from fleet.device d where d.handle = 'oak-lantern-2001'`,
    [],
  );
  assert.ok(row!.history > 0 && row!.history <= 2000, `${row!.history} lines of history`);
  assert.ok(row!.items <= 2000, `${row!.items} items`);
  assert.equal(row!.events, 100);
});
