import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Person } from '../../src/run/person.ts';
import { bodyOf, type ConsolePlane, consolePlane } from './console.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// What a page takes away by one request, over HTTP as the page sends it.
let plane: DevicePlane;
let desk: ConsolePlane;
let admin: Person;
before(async () => {
  plane = await devicePlane();
  desk = await consolePlane(plane);
  admin = await desk.person('amber-otter-4821', 'administrator');
});
after(async () => {
  await desk.close();
  await plane.close();
});

const profile = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.gone</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000001</string>
<key>PayloadDisplayName</key><string>Gone</string><key>PayloadContent</key><array/></dict></plist>`;
const filter = { field: 'product', op: 'starts', value: 'iPad' };
const make = async (path: string, body: object): Promise<string> => {
  const made = bodyOf(await admin.call('POST', path, body));
  return String(made['id'] ?? made['profile']);
};

test('a window, an assignment, an app, a rule and a group are taken away, and once only', async () => {
  const group = await make('/api/groups', { name: 'Tablets', filter });
  const stored = await make('/api/profiles', { profile });
  const app = await make('/api/apps', { identifier: 'org.example.app', name: 'An app', adamId: 1_234 });
  const rule = { name: 'A rule', group, condition: filter, graceHours: 0 };
  const window = { group, timeZone: 'UTC', days: [0], fromMinute: 60, minutes: 60 };
  const made = [
    `/api/windows/${await make('/api/windows', window)}`,
    `/api/assignments/${await make(`/api/profiles/${stored}/assignments`, { group })}`,
    `/api/app-assignments/${await make(`/api/apps/${app}/assignments`, { group })}`,
    `/api/compliance/${await make('/api/compliance', rule)}`,
    `/api/groups/${group}`,
  ];
  for (const path of made) {
    const first = await admin.call('DELETE', path);
    assert.deepEqual([path, first.status, desk.broken], [path, 204, []], JSON.stringify(first.body));
    assert.equal((await admin.call('DELETE', path)).status, 404, path);
  }
  const windows = bodyOf(await admin.call('GET', '/api/windows'));
  assert.deepEqual(windows['items'], []);
});

test('a session ends by its own request', async () => {
  const leaving = await desk.person('teal-wren-2210', 'administrator');
  assert.equal((await leaving.call('GET', '/api/session')).status, 200);
  assert.equal((await leaving.call('DELETE', '/api/session')).status, 204);
  assert.equal((await leaving.call('GET', '/api/session')).status, 204, 'nobody is signed in');
  assert.equal((await leaving.call('GET', '/api/devices')).status, 401);
});
