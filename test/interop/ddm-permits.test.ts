import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fromBase64url, type Json, sha256, toBase64url, uuidv7 } from '#base';
import { askDeclare, endPermits, listSets, proposeDeclaration, standingOf, storeData, takePermit } from '#fleet';
import { type Declare, EVERY_DEVICE, itemsDigest, membersDigest, signDeclared, signDeclarePermit } from '#seal';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { declarationBody, declarationsToken, type Item, serverToken } from '#wire';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Dangerous declarations at the edge: whoever owns the database, core or the console plants, alters, re-scopes and replays.
const AUTHOR = 'amber-otter-4821';
const CERTIFICATE = 'com.apple.configuration.security.certificate';
const ASSET = 'com.apple.asset.credential.certificate';
const line = openLine({ sockets: 4 });
const pool = new KeyPool();
let plane: DevicePlane;
let now = Date.now();
before(async () => {
  plane = await devicePlane({ clock: () => now });
});
after(async () => {
  line.close();
  await plane.close();
});

async function phoneOf(): Promise<{ device: string; phone: Phone }> {
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: pool });
  await phone.enrol(offer!.link);
  return { device: offer!.device, phone };
}
type Payload = Parameters<typeof proposeDeclaration>[1]['payload'];
const declare = (identifier: string, type: string, payload: object) =>
  tx(plane.console, (t) =>
    proposeDeclaration(t, {
      ...{ identifier, type, unchecked: false, author: AUTHOR, now: Date.now(), payload: payload as Payload },
    }),
  );
const put = (set: string, declarations: readonly string[], devices: readonly string[], everyone = false) =>
  plane.console.query(
    `select fleet.change_set($1, $2, null, $5, $3, '{}', array(select id from fleet.device where handle = any($4)), 'administrator', $6)`,
    [set, `Set ${set}`, declarations, devices, everyone, AUTHOR],
  );
/** What two people would sign; `signed` plays the ledger once they have. */
const ask = (set: string, days = 365): Promise<Declare> =>
  tx(plane.console, (t) => askDeclare(t, { set, requester: AUTHOR, purpose: 'a test of permits', days, now }));
function permitOf(document: Declare, key: KeyObject = plane.ledgerKey) {
  const { id: approval, declarations, until, notAfter } = document;
  const devices = document.devices === EVERY_DEVICE ? EVERY_DEVICE : membersDigest(document.devices);
  return signDeclarePermit(key, { approval, declarations, devices, until, notAfter });
}
async function agree(set: string, days?: number): Promise<Declare> {
  // Of two permits the later asked for counts.
  now += 1_000;
  const document = await ask(set, days);
  await tx(plane.core, (t) => takePermit(t, { document, permit: permitOf(document) }));
  await plane.declare();
  return document;
}
const held = (phone: Phone) =>
  phone.ddm.state.held
    .map(({ identifier }) => identifier)
    .filter((identifier) => !identifier.startsWith('bartizan.'))
    .sort();
const active = (phone: Phone) =>
  phone.ddm
    .active()
    .map(({ identifier }) => identifier)
    .filter((identifier) => !identifier.startsWith('bartizan.'))
    .sort();
/** Has the phone look from nothing, at an edge that remembers nothing. */
async function anew(phone: Phone): Promise<string[]> {
  const fresh = await plane.anotherEdge();
  try {
    const { status, body } = await fresh.ask(phone, 'declaration-items');
    if (status !== 200) return [`${status}`];
    const { Declarations: all } = JSON.parse(body.toString('utf8')) as {
      Declarations: Record<string, { Identifier: string }[]>;
    };
    const names = Object.values(all).flatMap((some) => some.map(({ Identifier: name }) => name));
    for (const name of names.filter((one) => one.startsWith('danger.'))) {
      const kind = name.endsWith('.asset') ? 'asset' : 'configuration';
      assert.equal((await fresh.ask(phone, `declaration/${kind}/${name}`)).status, 200);
    }
    return names.filter((name) => !name.startsWith('bartizan.')).sort();
  } finally {
    await fresh.close();
  }
}
const told = async (identifier: string) =>
  (
    await plane.core.query<{ why: string; device: string }>(
      `select body->'unmapped'->>'why' as why, device from log.event
       where kind = 'declaration.withheld' and body->'unmapped'->>'identifier' = $1 order by time, uid`,
      [identifier],
    )
  ).rows;

let counter = 0;
/** A set with one harmless declaration and a root certificate, for one phone; nobody has agreed yet. */
async function danger(devices: readonly string[], everyone = false) {
  const name = `danger.${++counter}`;
  const plain = await declare(`plain.${counter}`, 'com.apple.configuration.passcode.settings', { MinimumLength: 8 });
  const asset = await declare(`${name}.asset`, ASSET, {
    Reference: { DataURL: 'https://files.example/root', 'Hash-SHA-256': 'a'.repeat(64) },
  });
  const root = await declare(name, CERTIFICATE, { CredentialAssetReference: `${name}.asset` });
  assert.deepEqual([plain.guarded, asset.guarded, root.guarded], [false, true, true]);
  const set = uuidv7();
  await put(set, [plain.id, asset.id, root.id], devices, everyone);
  await plane.declare();
  return { name, plain: `plain.${counter}`, set, asset: asset.id, root: root.id, harmless: plain.id };
}

/** Whoever owns core writes any list and signs it, and the device's place on it. */
async function plantList(device: string, items: readonly Item[]): Promise<void> {
  const sorted = [...items];
  const token = declarationsToken(sorted);
  const { rows } = await plane.core.query<{ id: number; at: number }>(
    'select coalesce(max(id), 0)::int + 1 as id, coalesce(max(at), 0)::int + 1 as at from fleet.declared_list',
  );
  const { id: list, at } = rows[0]!;
  const of = (statement: Parameters<typeof signDeclared>[1]) =>
    Buffer.from(fromBase64url(signDeclared(plane.signKey, statement)));
  const signature = of({ op: 'declared-list', list, token, at, items: itemsDigest(sorted as unknown as Json) });
  await plane.core.query(
    `insert into fleet.declared_list (id, sets, key, token, items, at, signature, nudged_token) values ($1, '{}', $2, $3, $4, $5, $6, $3)`,
    [list, sha256(`planted ${list}`), token, JSON.stringify(sorted), at, signature],
  );
  await plane.core.query(
    `insert into fleet.declared_device (device_id, list_id, signature) select id, $2, $3 from fleet.device where handle = $1
     on conflict (device_id) do update set list_id = excluded.list_id, signature = excluded.signature`,
    [device, list, of({ op: 'declared-device', device, list })],
  );
}
/** And any declaration. */
async function plantDeclaration(identifier: string, type: string, payload: Payload): Promise<Item> {
  const declaration = { identifier, type, payload };
  const [token, body] = [serverToken(declaration), declarationBody(declaration)];
  const statement = { op: 'declaration', identifier, token, body: toBase64url(sha256(body)) } as const;
  const id = uuidv7();
  const kind = type.split('.')[2] as Item['kind'];
  await plane.core.query(
    `insert into fleet.declaration (id, identifier, kind, type, created_by) values ($1, $2, $3, $4, 'core') on conflict do nothing`,
    [id, identifier, kind, type],
  );
  await plane.core.query(
    `insert into fleet.declaration_version (declaration_id, version, payload, state, token, body, signature, author)
     select d.id, 1 + (select count(*) from fleet.declaration_version v where v.declaration_id = d.id), $2, 'superseded', $3, $4, $5, 'core'
     from fleet.declaration d where d.identifier = $1`,
    [
      identifier,
      JSON.stringify(payload),
      token,
      body,
      Buffer.from(fromBase64url(signDeclared(plane.signKey, statement))),
    ],
  );
  return { kind, identifier, token };
}
const itemsOf = async (device: string) =>
  (
    await plane.core.query<{ items: Item[] }>(
      `select l.items from fleet.declared_device dd join fleet.declared_list l on l.id = dd.list_id
       join fleet.device d on d.id = dd.device_id where d.handle = $1`,
      [device],
    )
  ).rows[0]!.items;

test('what is dangerous comes with the permit of two people, the rest before; a newcomer and a change wait for them anew', async () => {
  const { device, phone } = await phoneOf();
  const { device: later, phone: second } = await phoneOf();
  const { name, plain, set, root } = await danger([device]);
  await phone.poll();
  assert.deepEqual(active(phone), [plain]);
  assert.deepEqual(held(phone), [plain]);
  const permit = async () => (await listSets(plane.console)).find(({ id }) => id === set)!.permit!;
  assert.deepEqual([(await permit()).guarded, (await permit()).waiting], [2, 1]);
  const standing = (await standingOf(plane.console, device))!.declarations.filter(
    ({ state }) => state === 'unapproved',
  );
  assert.deepEqual(standing.map(({ identifier }) => identifier).sort(), [name, `${name}.asset`]);
  const document = await agree(set);
  assert.deepEqual(document.devices, [device]);
  await phone.poll();
  assert.deepEqual(active(phone), [name, plain]);
  assert.deepEqual(held(phone), [name, `${name}.asset`, plain]);
  assert.equal((await permit()).waiting, 0);

  // Re-scoped by one person: the newcomer gets the rest.
  const { rows } = await plane.core.query<{ id: string }>(
    'select x.declaration_id as id from fleet.set_declaration x join fleet.declaration d on d.id = x.declaration_id where x.set_id = $1 and d.origin = $2',
    [set, 'administrator'],
  );
  await put(
    set,
    rows.map(({ id }) => id),
    [device, later],
  );
  await plane.declare();
  await phone.poll();
  await second.poll();
  assert.deepEqual([active(phone), active(second)], [[name, plain], [plain]]);
  assert.equal((await permit()).waiting, 1);

  // Changed by one person: devices keep what two agreed to.
  await declare(name, CERTIFICATE, { CredentialAssetReference: 'danger.other.asset' });
  await plane.declare();
  await phone.poll();
  const nameOf = (one: Phone) =>
    one.ddm.state.held.find(({ identifier }) => identifier === name)?.payload['CredentialAssetReference'];
  assert.equal(nameOf(phone), `${name}.asset`);
  assert.equal((await permit()).waiting, 2);
  await agree(set);
  await phone.poll();
  await second.poll();
  assert.deepEqual([nameOf(phone), nameOf(second)], ['danger.other.asset', 'danger.other.asset']);
  assert.deepEqual(await told(name), [], 'nothing of this was an attack');
  assert.ok(root);
});

test('a permit for everyone holds for phones of the future; one that has ended takes its declarations along', async () => {
  const { phone } = await phoneOf();
  const { name, set } = await danger([], true);
  assert.equal((await agree(set, 2)).devices, EVERY_DEVICE);
  await phone.poll();
  assert.ok(active(phone).includes(name));
  const { phone: future } = await phoneOf();
  await plane.declare();
  await future.poll();
  assert.ok(active(future).includes(name));
  // Edge counts by its own clock, before core has taken it off the lists.
  now += 3 * 86_400_000;
  assert.ok(!(await anew(phone)).includes(name));
  now -= 3 * 86_400_000;
  // A long one is announced before, once; this one was given for two days and is not.
  const announced = async () =>
    (await plane.core.query(`select from log.event where kind = 'declaration.permit_ending'`)).rowCount;
  await endPermits(plane.core);
  assert.equal(await announced(), 0);
  await plane.core.query(
    `update fleet.declared_permit set at = now() - interval '1 year', until = now() + interval '20 days' where set_id = $1`,
    [set],
  );
  for (let times = 0; times < 2; times += 1) assert.equal(await endPermits(plane.core), 0);
  assert.equal(await announced(), 1);
  await plane.core.query('update fleet.declared_permit set until = now() where set_id = $1', [set]);
  assert.equal(await endPermits(plane.core), 1);
  await plane.declare();
  await phone.poll();
  assert.ok(!active(phone).includes(name));
  await plane.console.query('select fleet.remove_set($1, $2)', [set, AUTHOR]);
  await plane.declare();
});

test('the owner of core plants a dangerous declaration: no phone gets it, one event tells, the rest is served', async () => {
  const { device, phone } = await phoneOf();
  const { device: other, phone: second } = await phoneOf();
  const { name, plain } = await danger([device, other]);
  await phone.poll();
  const good = await itemsOf(device);
  const planted = [
    await plantDeclaration('danger.planted.asset', ASSET, {
      Reference: { DataURL: 'https://evil.example/root', 'Hash-SHA-256': 'a'.repeat(64) },
    }),
    await plantDeclaration('danger.planted', CERTIFICATE, { CredentialAssetReference: 'danger.planted.asset' }),
    await plantDeclaration('danger.unknown', 'com.apple.configuration.no.such', { A: 1 }),
    // harmless by its type, but with a key that nobody here knows
    await plantDeclaration('danger.key', 'com.apple.configuration.passcode.settings', { MinimumLength: 4, Odd: 1 }),
    await plantDeclaration('danger.app', 'com.apple.configuration.app.managed', {
      ManifestURL: 'https://evil.example/m',
    }),
  ];
  for (const one of [device, other]) await plantList(one, [...good, ...planted]);
  phone.ddm.state.token = null;
  assert.ok((await phone.ddm.synchronise()) >= 0);
  await second.ddm.synchronise();
  assert.deepEqual([active(phone), active(second)], [[plain], [plain]]);
  assert.deepEqual([held(phone), held(second)], [[plain], [plain]]);
  for (const { kind, identifier } of planted)
    assert.equal((await phone.sayDeclarative(`declaration/${kind}/${identifier}`)).status, 404);
  for (const { identifier } of planted) {
    const events = await told(identifier);
    assert.deepEqual(
      events.map(({ why }) => why),
      ['permit-missing'],
      identifier,
    );
    assert.equal(events[0]!.device, device);
  }
  assert.deepEqual(await told(name), []);
});

test('permits by another key, for other bytes, another device, another list of devices, or of another kind are none', async () => {
  const { device, phone } = await phoneOf();
  const { device: other } = await phoneOf();
  const { name, plain, set } = await danger([device]);
  const asked = await ask(set);
  const listed = [...(await itemsOf(device))];
  for (const { identifier, token } of asked.declarations)
    listed.push({ kind: identifier.endsWith('.asset') ? 'asset' : 'configuration', identifier, token });
  await plantList(device, listed);
  const plant = async (permit: object, handles: readonly string[]) => {
    const id = uuidv7();
    await plane.core.query(
      `insert into fleet.declared_permit (approval_id, set_id, permit, identifiers, everyone, handles, until)
       values ($1, $2, $3, $4, true, $5, now() + interval '1 year')`,
      [id, set, JSON.stringify(permit), [name, `${name}.asset`], handles],
    );
    assert.deepEqual(await anew(phone), [plain], JSON.stringify(permit).slice(0, 200));
  };
  const stranger = generateKeyPairSync('ed25519').privateKey;
  await plant(permitOf(asked, stranger), [device]);
  await plant(permitOf(asked, plane.signKey), [device]);
  const swapped = asked.declarations.map((one) => ({ ...one, body: toBase64url(sha256('other bytes')) }));
  await plant(permitOf({ ...asked, declarations: swapped }), [device]);
  const retoken = asked.declarations.map((one) => ({ ...one, token: toBase64url(sha256('another token')) }));
  await plant(permitOf({ ...asked, declarations: retoken }), [device]);
  await plant(permitOf({ ...asked, devices: [other] }), [other]);
  // The device written in beside the one that two people named.
  await plant(permitOf({ ...asked, devices: [other] }), [device, other].sort());
  await plant({ ...permitOf({ ...asked, devices: [other] }), devices: EVERY_DEVICE }, [device]);
  await plant({ ...permitOf(asked), op: 'command' }, [device]);
  await plant({ ...permitOf({ ...asked, until: now - 1 }) }, [device]);
  for (const odd of [null, 7, [], {}, { declarations: null }, { declarations: [null], signature: 'x' }])
    await plant(odd as object, [device]);
  // And the true one counts.
  await plane.core.query(
    `insert into fleet.declared_permit (approval_id, set_id, permit, identifiers, everyone, handles, until)
     values ($1, $2, $3, $4, false, $5, now() + interval '1 year')`,
    [asked.id, set, JSON.stringify(permitOf(asked)), [name, `${name}.asset`], [device]],
  );
  assert.deepEqual(await anew(phone), [name, `${name}.asset`, plain]);
});

test('bytes swapped under a permitted token reach nobody, by core’s own hand neither', async () => {
  const { device, phone } = await phoneOf();
  const { name, plain, set, root } = await danger([device]);
  await agree(set);
  await phone.poll();
  assert.ok(active(phone).includes(name));
  const { rows } = await plane.core.query<{ token: string; body: Buffer }>(
    `select token, body from fleet.declaration_version where declaration_id = $1 and state = 'current'`,
    [root],
  );
  const { token, body } = rows[0]!;
  const evil = Buffer.from(body.toString('utf8').replace(`${name}.asset`, 'danger.evil.asset'));
  const statement = { op: 'declaration', identifier: name, token, body: toBase64url(sha256(evil)) } as const;
  await plane.core.query('update fleet.declaration_version set body = $2, signature = $3 where declaration_id = $1', [
    ...[root, evil, Buffer.from(fromBase64url(signDeclared(plane.signKey, statement)))],
  ]);
  assert.deepEqual(await anew(phone), [`${name}.asset`, plain]);
  assert.deepEqual(
    (await told(name)).map(({ why }) => why),
    ['permit-missing'],
  );
  // dressed up as something harmless: the type that is read first is not the one that counts
  const double = Buffer.from(
    body.toString('utf8').replace('{', '{"Type":"com.apple.configuration.passcode.settings",'),
  );
  const dressed = { ...statement, body: toBase64url(sha256(double)) };
  await plane.core.query('update fleet.declaration_version set body = $2, signature = $3 where declaration_id = $1', [
    ...[root, double, Buffer.from(fromBase64url(signDeclared(plane.signKey, dressed)))],
  ]);
  assert.deepEqual(await anew(phone), [`${name}.asset`, plain]);
});

test('an old permit is not played again once two people agreed to something newer', async () => {
  const { device, phone } = await phoneOf();
  const { name, plain, set } = await danger([device]);
  await agree(set);
  await phone.poll();
  const before = await itemsOf(device);
  await declare(name, CERTIFICATE, { CredentialAssetReference: `${name}.newer.asset` });
  await plane.declare();
  await agree(set);
  await phone.poll();
  assert.ok(active(phone).includes(name));
  // Core is owned: the list of before, signed anew, and the newer permit taken out of the database.
  await plantList(device, before);
  assert.deepEqual(await anew(phone), [`${name}.asset`, plain], 'an edge that reads both permits takes the newer');
  assert.deepEqual(
    (await told(name)).map(({ why }) => why),
    ['permit-overtaken'],
  );
  await plane.asOwner(
    `delete from fleet.declared_permit p where set_id = $1 and p.at = (select max(at) from fleet.declared_permit where set_id = $1)`,
    [set],
  );
  now += 11 * 60_000;
  phone.ddm.state.token = null;
  await phone.ddm.synchronise();
  assert.ok(!held(phone).includes(name), 'the edge that saw the newer one remembers it');
});

test('data behind an address that two people agreed to cannot be exchanged', async () => {
  const { phone } = await phoneOf();
  const stored = await storeData(plane.console, {
    ...{ name: 'a profile', contentType: 'application/x-apple-aspen-config', by: AUTHOR },
    content: Buffer.from('<plist/>'),
  });
  const read = async () => {
    const answer = await fetch(`${plane.url}/data/${stored.id}`);
    return answer.status === 200 ? answer.text() : answer.status;
  };
  assert.equal(await read(), '<plist/>');
  await plane.asOwner(
    `update fleet.declared_data set content = '<evil/>', sha256 = sha256('<evil/>'::bytea) where id = $1`,
    [stored.id],
  );
  assert.equal(await read(), 404);
  await plane.asOwner(`update fleet.declared_data set content = '<plist/>', content_type = 'text/html' where id = $1`, [
    stored.id,
  ]);
  assert.equal(await read(), 404);
  await plane.asOwner(
    `update fleet.declared_data set content_type = 'application/x-apple-aspen-config', salt = null where id = $1`,
    [stored.id],
  );
  assert.equal(await read(), 404);
  assert.ok(phone);
});
