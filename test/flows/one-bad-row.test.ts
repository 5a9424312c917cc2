import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { Batch } from '../../src/edge/batch.ts';
import { Turns } from '../../src/edge/turns.ts';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// Check-ins that arrive together share a statement. A row that the database cannot take must not fail those of its neighbours.
const line = openLine({ sockets: 8 });
const keys = new KeyPool();
const phones = new Map<string, Phone>();
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
  for (const { device, link } of await plane.offer(6)) {
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: keys });
    await phone.enrol(link);
    phones.set(device, phone);
  }
});
after(async () => {
  line.close();
  await plane.close();
});

test('one row that the database refuses fails alone, its neighbours are answered and done once', async () => {
  const handles = [...phones.keys()];
  const commands = await plane.order('SecurityInfo', handles);
  const bad = commands.get(handles[2]!)!;
  // Stands for whatever nobody foresaw.
  await plane.asOwner(
    `alter table fleet.command add constraint unforeseen check (uuid <> '${bad}' or state <> 'acknowledged')`,
    [],
  );
  const turns = new Turns(plane.edge, { info: () => {}, warn: () => {}, error: () => {} });
  const { rows } = await plane.core.query<{ handle: string; udid: string; certificate: Buffer }>(
    'select handle, udid, certificate_sha256 as certificate from fleet.device where handle = any($1) order by handle',
    [handles],
  );
  const answers = await Promise.allSettled(
    rows.map(({ handle, udid, certificate }) =>
      turns.turn(
        certificate,
        {
          ...{ udid, status: 'Acknowledged', commandUuid: commands.get(handle)!, errors: [], findings: [] },
          personal: new Map(),
        } as unknown as Parameters<Turns['turn']>[1],
        null,
      ),
    ),
  );
  await turns.close();
  const failed = rows.filter((_, n) => answers[n]!.status === 'rejected').map(({ handle }) => handle);
  assert.deepEqual(failed, [handles[2]]);
  const states = await plane.core.query<{ handle: string; state: string }>(
    `select d.handle, c.state from fleet.command c join fleet.device d on d.id = c.device_id where c.uuid = any($1)`,
    [[...commands.values()]],
  );
  for (const { handle, state } of states.rows)
    assert.equal(state, handle === handles[2] ? 'queued' : 'acknowledged', handle);
  const { rows: told } = await plane.core.query(
    `select device from log.event where kind = 'command.result' and body->'unmapped'->>'command' = any($1)`,
    [[...commands.values()]],
  );
  assert.equal(told.length, handles.length - 1, 'each is told once');
});

test('a failure that is nobody’s own is not repeated for each', async () => {
  let runs = 0;
  const batch = new Batch<number, number>(
    async () => {
      runs += 1;
      throw Object.assign(new Error('gone'), { code: '57P01' });
    },
    { most: 64, lanes: 1, alone: (error) => (error as { code: string }).code.startsWith('22') },
  );
  const answers = await Promise.allSettled(Array.from({ length: 64 }, (_, n) => batch.ask(n)));
  assert.ok(answers.every(({ status }) => status === 'rejected'));
  assert.equal(runs, 1);
});
