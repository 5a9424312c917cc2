import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import {
  endUpdate,
  fetchReleases,
  followUpdates,
  listReleases,
  listUpdates,
  planUpdate,
  standingOf,
  type UpdateInput,
  updateDevices,
} from '#fleet';
import { followUpdate, KeyPool, newPhone, openLine, Phone, updateWanted } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Software updates over the whole line: the list of signed versions from a peer that answers as gdmf does, a plan, a declaration
// for each model, a simulated phone that installs.
const AUTHOR = 'amber-otter-4821';
const line = openLine({ sockets: 4 });
const keys = new KeyPool();
const dir = mkdtempSync(join(tmpdir(), 'btz-gdmf-'));
let plane: DevicePlane;
let gdmf: Server;
let url = '';
let ca = '';
const answer = { status: 200, body: '' };

const release = (version: string, build: string, models: readonly string[]) => ({
  ...{ ProductVersion: version, Build: build, PostingDate: '2026-09-01', ExpirationDate: '2099-01-01' },
  SupportedDevices: models,
});
const feed = (...releases: readonly object[]) => JSON.stringify({ PublicAssetSets: { iOS: releases, macOS: [] } });

before(async () => {
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...[
        '-keyout',
        'key.pem',
        '-out',
        'cert.pem',
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost',
      ],
    ],
    { cwd: dir, stdio: 'ignore' },
  );
  ca = readFileSync(join(dir, 'cert.pem'), 'utf8');
  gdmf = createServer({ key: readFileSync(join(dir, 'key.pem')), cert: ca }, (request, response) => {
    const found = request.method === 'GET' && request.url === '/v2/pmv';
    response.writeHead(found ? answer.status : 404, { 'content-type': 'application/json' }).end(answer.body);
  });
  gdmf.listen(0, '127.0.0.1');
  await once(gdmf, 'listening');
  url = `https://localhost:${(gdmf.address() as AddressInfo).port}/v2/pmv`;
  plane = await devicePlane();
});
after(async () => {
  line.close();
  gdmf.close();
  gdmf.closeAllConnections();
  await plane.close();
  rmSync(dir, { recursive: true, force: true });
});

async function phoneOf(productName: string): Promise<{ device: string; phone: Phone }> {
  const [offer] = await plane.offer(1);
  const state = { ...newPhone({ deviceName: 'Anna’s iPhone', phoneNumber: '+447700900123' }), productName };
  const phone = new Phone(state, { send: line.send, keyPool: keys });
  await phone.enrol(offer!.link);
  return { device: offer!.device, phone };
}
const plan = (input: Partial<UpdateInput> & Pick<UpdateInput, 'name'>) =>
  tx(plane.console, (t) =>
    planUpdate(t, {
      ...{ group: null, version: null, deadline: '2099-01-01T18:00:00', detailsUrl: null, by: AUTHOR },
      ...input,
    }),
  );
const work = async () => {
  await followUpdates(plane.core, plane.signKey);
  await plane.declare();
};
const groupOf = async (name: string, ...devices: readonly string[]) => {
  const id = uuidv7();
  await plane.asOwner(
    `insert into fleet.device_group (id, name, filter, created_by) values ($1, $2, '{"all":[]}', $3)`,
    [...[id, name, AUTHOR]],
  );
  await plane.asOwner(
    'insert into fleet.group_member (group_id, device_id) select $1, id from fleet.device where handle = any($2)',
    [id, devices],
  );
  return id;
};

test('without a list of versions nothing can be planned', async () => {
  await assert.rejects(plan({ name: 'Too early' }), { code: 'no-feed' });
});

test('the list is read over TLS; what is refused, odd or from a stranger leaves the old one', async () => {
  answer.body = feed(
    release('26.1', '23B85', ['iPhone17,1', 'iPhone15,4']),
    release('26.2', '23C55', ['iPhone17,1']),
    release('18.7', '22H20', ['iPhone11,2']),
  );
  assert.equal(await fetchReleases(plane.core, { url, ca }), 3);
  const versions = async () => (await listReleases(plane.core)).map(({ version }) => version);
  assert.deepEqual(await versions(), ['26.2', '26.1', '18.7']);
  await assert.rejects(fetchReleases(plane.core, { url }), { code: 'feed' }, 'nobody vouches for the peer');
  await assert.rejects(fetchReleases(plane.core, { url: `${url}x`, ca }), { code: 'feed' });
  const { body } = answer;
  answer.body = body.slice(0, 200);
  await assert.rejects(fetchReleases(plane.core, { url, ca }), { code: 'feed' });
  answer.body = feed(release('9.6.4', '20U512', ['Watch4,1']));
  await assert.rejects(fetchReleases(plane.core, { url, ca }), { code: 'feed' });
  answer.body = body;
  assert.deepEqual(await versions(), ['26.2', '26.1', '18.7']);
});

test('each model gets its newest version; the phone downloads, installs, and is behind no more', async () => {
  const { device, phone } = await phoneOf('iPhone17,1');
  const { device: older, phone: second } = await phoneOf('iPhone15,4');
  const { device: unknown, phone: third } = await phoneOf('iPhone1,1');
  const group = await groupOf('Updating', device, older, unknown);
  const { id, models } = await plan({ name: 'Autumn', group });
  assert.deepEqual(
    models.map(({ model, version, why, behind }) => [model, version, why, behind]),
    [
      ['iPhone1,1', null, 'not-for-this-model', 0],
      ['iPhone15,4', '26.1', null, 1],
      ['iPhone17,1', '26.2', null, 1],
    ],
  );
  await work();
  for (const one of [phone, second, third]) await one.poll();
  assert.deepEqual(updateWanted(phone), { version: '26.2', build: '23C55', deadline: '2099-01-01T18:00:00' });
  assert.deepEqual(updateWanted(second), { version: '26.1', build: '23B85', deadline: '2099-01-01T18:00:00' });
  assert.equal(updateWanted(third), undefined);

  const mine = async () => (await updateDevices(plane.console, { limit: 10, handle: device }))[0];
  assert.equal((await mine())?.state, 'none');
  await followUpdate(phone, 'downloading');
  const now = (await mine())!;
  assert.deepEqual([now.wanted, now.state, now.overdue], ['26.2', 'downloading', false]);
  assert.ok(await followUpdate(phone, 'installed'));
  await work();
  assert.equal(await mine(), undefined, 'it has what was wanted');
  await phone.poll();
  assert.deepEqual(phone.ddm.state.held, []);
  const standing = (await standingOf(plane.console, older))!;
  const update = standing.declarations.find(({ identifier }) => identifier.startsWith('bartizan.update.'));
  assert.equal(update?.state, 'applied');
  assert.equal((await listUpdates(plane.console)).find((one) => one.id === id)?.wanted, 1);

  await endUpdate(plane.console, id, AUTHOR);
  await plane.declare();
  await second.poll();
  assert.equal(updateWanted(second), undefined, 'an ended plan forces nobody');
  await assert.rejects(endUpdate(plane.console, id, AUTHOR), { code: 'bad-request' });
});

test('a version that a model in scope cannot have is refused, with the model’s name', async () => {
  const { device } = await phoneOf('iPhone11,2');
  const { device: newer } = await phoneOf('iPhone17,1');
  const group = await groupOf('Mixed', device, newer);
  await assert.rejects(plan({ name: 'Too new', group, version: '26.2' }), /cannot have 26\.2: iPhone11,2\./);
  await assert.rejects(plan({ name: 'No day', group, deadline: '2026-13-01T18:00:00' }), { code: 'bad-request' });
  assert.ok((await listUpdates(plane.console)).every(({ name }) => name === 'Autumn' || name.startsWith('Autumn ')));
});

test('a phone that failed or let its deadline pass is shown as such, in front', async () => {
  const { device, phone } = await phoneOf('iPhone17,1');
  const { device: patient } = await phoneOf('iPhone17,1');
  const past = new Date(Date.now() - 3_600_000).toISOString().slice(0, 19);
  await plan({ name: 'Patient', group: await groupOf('Patient', patient) });
  const { id } = await plan({ name: 'Urgent', group: await groupOf('Urgent', device), deadline: past });
  await work();
  await phone.poll();
  await followUpdate(phone, 'failed');
  const [first, ...others] = await updateDevices(plane.console, { limit: 10 });
  assert.deepEqual([first!.device, first!.state, first!.overdue], [device, 'failed', true]);
  assert.deepEqual(
    others.map((one) => [one.device, one.overdue]),
    [[patient, false]],
  );
  const listed = (await listUpdates(plane.console)).find((one) => one.id === id)!;
  assert.deepEqual([listed.wanted, listed.failed, listed.overdue], [1, 1, 1]);
});

test('a newer version takes the place of the one that was wanted, until the deadline', async () => {
  const { device, phone } = await phoneOf('iPhone17,1');
  await plan({ name: 'Following', group: await groupOf('Following', device) });
  await work();
  await phone.poll();
  assert.equal(updateWanted(phone)?.version, '26.2');
  answer.body = feed(release('26.3', '23D10', ['iPhone17,1']));
  await fetchReleases(plane.core, { url, ca });
  await work();
  await phone.poll();
  assert.equal(updateWanted(phone)?.version, '26.3');
  assert.equal(phone.ddm.active().filter(({ type }) => type.includes('softwareupdate')).length, 1);
});

test('a plan that cannot be followed stops no other; it says why, once, and goes on when it can', async () => {
  const { device } = await phoneOf('iPhone17,1');
  const { device: other } = await phoneOf('iPhone17,1');
  const { device: last, phone } = await phoneOf('iPhone17,1');
  const taken = await plan({ name: 'Taken', group: await groupOf('Taken', device) });
  const stolen = await plan({ name: 'Stolen', group: await groupOf('Stolen', other) });
  const good = await plan({ name: 'Behind', group: await groupOf('Behind', last) });
  // A set with the name that the first needs, and one under the identity that the second needs.
  const named = uuidv7();
  const version = '26.3';
  await plane.console.query(`select fleet.change_set($1, $2, null, false, '{}', '{}', '{}', 'administrator', $3)`, [
    named,
    `Update Taken: ${version}`,
    AUTHOR,
  ]);
  const hex = createHash('sha256').update(`bartizan update\n${stolen.id}\n${version}\n23D10`).digest('hex');
  const identity = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  await plane.console.query(
    `select fleet.change_set($1, 'Not an update', null, false, '{}', '{}', '{}', 'administrator', $2)`,
    [identity, AUTHOR],
  );
  const faults = async () => {
    const plans = await listUpdates(plane.console);
    return [taken, stolen, good].map(({ id }) => plans.find((one) => one.id === id)!.fault);
  };
  await work();
  await work();
  await phone.poll();
  assert.equal(updateWanted(phone)?.version, version, 'the plan behind the broken ones is followed');
  assert.deepEqual(await faults(), ['name-taken', '42501', null]);
  const { rows } = await plane.core.query<{ plan: string }>(
    `select body->'unmapped'->>'plan' as plan from log.event where kind = 'update.stuck' order by time, uid`,
  );
  assert.deepEqual(rows.map((row) => row.plan).sort(), [taken.id, stolen.id].sort(), 'each is told once');
  await plane.console.query('select fleet.remove_set($1, $2)', [named, AUTHOR]);
  await work();
  assert.deepEqual(await faults(), [null, '42501', null]);
});
