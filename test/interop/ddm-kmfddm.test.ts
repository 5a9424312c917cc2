import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { DdmClient, KeyPool, newPhone, openLine, Phone } from '#sim';
import { parseStatusReport } from '#wire';
import { freePorts } from '../flows/product.ts';
import { type DdmStage, ddmStage } from './ddm-stage.ts';
import { startKmfddm } from './kmfddm-server.ts';

// kmfddm beside us: its parser reads the same reports, and its server is synchronised by our simulated client.
const SUBSCRIPTIONS = 'bartizan.status-subscriptions';
const MATH = 'com.apple.configuration.math.settings';
const line = openLine({ sockets: 2 });
let stage: DdmStage;
let plane: DdmStage['plane'];
before(async () => {
  stage = await ddmStage();
  plane = stage.plane;
});
after(async () => {
  line.close();
  await stage?.close();
});

/** What kmfddm reads out of a report. */
interface Judged {
  readonly declarations:
    | readonly { identifier: string; active: boolean; valid: string; 'server-token': string }[]
    | null;
  readonly values: Record<string, string[]>;
  readonly errors: readonly { identifier?: string; StatusItem?: string }[];
}
const judged = async (reports: readonly string[]) =>
  (await stage.go(['judge'], `${reports.join('\n')}\n`))
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Judged);

test('kmfddm reads the reports of our simulated phone as we do', async () => {
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'Maja’s iPhone', phoneNumber: '+447700900123' }), {
    ...{ send: line.send, keyPool: new KeyPool() },
  });
  await phone.enrol(offer!.link);
  const good = await stage.declare('foreign.audio', 'com.apple.configuration.audio-accessory.settings', {
    TemporaryPairing: { Disabled: true },
  });
  const wrong = await stage.declare('foreign.wrong', 'com.apple.configuration.intelligence.settings', {
    AllowGenmoji: false,
  });
  await stage.putSet(null, 'Simulated', [good, wrong], [offer!.device]);
  const reports: string[] = [];
  const client = new DdmClient(
    (endpoint, data) => {
      if (data !== undefined) reports.push(Buffer.from(data).toString('utf8'));
      return phone.sayDeclarative(endpoint, undefined, data);
    },
    {
      facts: () => ({
        'device.model.family': 'iPhone',
        'passcode.is-present': true,
        'device.operating-system.version': '18.1',
      }),
      behaviour: { invalid: { identifiers: ['foreign.wrong'], code: 'Error.ConfigurationCannotBeApplied' } },
    },
  );
  assert.equal(await client.synchronise(), 5);
  assert.equal(reports.length, 1);
  const read = (await judged(reports))[0]!;
  const ours = (
    await plane.core.query<{ identifier: string; active: boolean; valid: string; token: string }>(
      `select s.identifier, s.active, s.valid, s.token from fleet.declared_state s join fleet.device d on d.id = s.device_id
       where d.handle = $1 order by s.kind, s.identifier`,
      [offer!.device],
    )
  ).rows;
  const sorted = (rows: readonly { identifier: string }[]) =>
    [...rows].sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  assert.deepEqual(
    sorted(
      read.declarations!.map((one) => ({
        identifier: one.identifier,
        active: one.active,
        valid: one.valid,
        token: one['server-token'],
      })),
    ),
    sorted(ours),
  );
  assert.equal(ours.length, 5);
  const now = await stage.shown(offer!.device);
  assert.deepEqual(read.values['.StatusItems.device.model.family'], ['iPhone']);
  assert.equal(now.values['device.model.family'], 'iPhone');
  // kmfddm calls the invalid declaration an error too; the others are status items that the device cannot report
  const items = read.errors.flatMap(({ StatusItem }) => StatusItem ?? []).sort();
  assert.deepEqual(items, Object.keys(now.errors).sort());
  assert.ok(items.length > 0);
  assert.deepEqual(
    read.errors.flatMap(({ identifier }) => identifier ?? []),
    ['foreign.wrong'],
  );
});

test('our simulated client synchronises with kmfddm’s server, fetches what changed alone, and survives its restart', async () => {
  const kmfddm = await startKmfddm(await stage.server(), stage.folder(), (await freePorts()) + 2);
  try {
    // The declarations that go in are ours, byte for byte.
    const { device, dir } = await stage.enrolled();
    const id = await stage.declare('foreign.notes', MATH, {
      SystemBehavior: { MathNotes: false, KeyboardSuggestions: true },
    });
    const set = await stage.putSet(null, 'For kmfddm', [id], [device]);
    await stage.sync(dir);
    const identifiers = [
      `bartizan.set.${set}`,
      SUBSCRIPTIONS,
      'foreign.notes',
      'bartizan.set.00000000-0000-4000-8000-0000000000dd',
    ];
    for (const identifier of identifiers) {
      const body = await stage.go(['show', dir, identifier]);
      assert.equal((await kmfddm.api('PUT', '/declarations', body)).status, 204, identifier);
      await kmfddm.api('PUT', `/set-declarations/ours?declaration=${identifier}`);
    }
    await kmfddm.api('PUT', '/enrollment-sets/PHONE?set=ours');

    const facts = { 'device.model.family': 'iPhone', 'passcode.is-present': true };
    const wrong = { identifiers: [] as string[], code: 'Error.ConfigurationCannotBeApplied' };
    const client = new DdmClient(kmfddm.as('PHONE'), { facts: () => facts, behaviour: { invalid: wrong } });
    assert.equal(await client.synchronise(), 4);
    assert.deepEqual(
      client
        .active()
        .map(({ identifier }) => identifier)
        .sort(),
      [SUBSCRIPTIONS, 'foreign.notes'],
    );
    type Status = { identifier: string; active: boolean; valid: string; current: boolean; reasons?: unknown[] };
    const status = async () =>
      ((await kmfddm.api('GET', '/declaration-status/PHONE')).body as { PHONE: Status[] }).PHONE;
    assert.deepEqual(
      (await status()).map(({ identifier, active, valid, current }) => [identifier, active, valid, current]).sort(),
      identifiers.map((identifier) => [identifier, true, 'valid', true]).sort(),
    );
    const values = (await kmfddm.api('GET', '/status-values/PHONE')).body as {
      PHONE: { path: string; value: string }[];
    };
    assert.deepEqual(
      values.PHONE.filter(({ path }) => path.startsWith('.StatusItems.device.')).map(({ path, value }) => [
        path,
        value,
      ]),
      [['.StatusItems.device.model.family', 'iPhone']],
    );

    const changed = JSON.parse(await stage.go(['show', dir, 'foreign.notes'])) as { Payload: object };
    const payload = { SystemBehavior: { MathNotes: true, KeyboardSuggestions: true } };
    await kmfddm.api('PUT', '/declarations', JSON.stringify({ ...changed, Payload: payload }));
    wrong.identifiers.push('foreign.notes');
    const asked = client.asked.get('declaration')!;
    assert.equal(await client.synchronise(), 1);
    assert.equal(client.asked.get('declaration')! - asked, 1);
    const bad = (await status()).find(({ identifier }) => identifier === 'foreign.notes')!;
    assert.deepEqual([bad.valid, bad.current, bad.reasons?.length], ['invalid', true, 1]);
    const errors = (await kmfddm.api('GET', '/status-errors/PHONE')).body as { PHONE: { path: string }[] };
    assert.ok(errors.PHONE.length > 0);

    await kmfddm.restart();
    assert.equal(await client.synchronise(), 0, 'the same token, from its files');
    await kmfddm.api('DELETE', '/enrollment-sets/PHONE?set=ours');
    assert.equal(await client.synchronise(), 0);
    assert.deepEqual(client.state.held, []);
  } finally {
    await kmfddm.stop();
  }
});

const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.-]{0,20}$/);
const state = fc.record({
  identifier: word,
  'server-token': word,
  active: fc.boolean(),
  valid: fc.constantFrom('valid', 'invalid', 'unknown'),
});
const some = fc.uniqueArray(state, { selector: ({ identifier }) => identifier, maxLength: 4 });
const kept = fc.constantFrom('iPhone', '18.3', 'Error (a)', 'none', 'x-1');
const anything = fc.record(
  {
    StatusItems: fc.record(
      {
        device: fc.record(
          {
            model: fc.record({ family: kept, identifier: kept, 'marketing-name': kept }, { requiredKeys: [] }),
            'operating-system': fc.record({ version: kept, 'build-version': kept, family: kept }, { requiredKeys: [] }),
          },
          { requiredKeys: [] },
        ),
        management: fc.record({
          declarations: fc.record({ activations: some, assets: some, configurations: some, management: some }),
        }),
        test: fc.jsonValue({ maxDepth: 2 }),
      },
      { requiredKeys: [] },
    ),
    Errors: fc.array(fc.record({ StatusItem: word, Reasons: fc.array(fc.record({ Code: word }), { maxLength: 2 }) }), {
      maxLength: 3,
    }),
    FullReport: fc.boolean(),
  },
  { requiredKeys: ['StatusItems', 'Errors'] },
);

test('whatever a report says, kmfddm and we read the same out of it', async () => {
  const reports = fc.sample(anything, 400).map((one) => JSON.stringify(one));
  const theirs = await judged(reports);
  assert.equal(theirs.length, reports.length);
  let seen = 0;
  for (const [n, text] of reports.entries()) {
    const ours = parseStatusReport(Buffer.from(text));
    const line = (one: { identifier: string; active: boolean; valid: string }, token: string) =>
      [one.identifier, one.active, one.valid, token].join(' ');
    assert.deepEqual(
      (ours.declarations ?? []).map((one) => line(one, one.token)).sort(),
      (theirs[n]!.declarations ?? []).map((one) => line(one, one['server-token'])).sort(),
      text,
    );
    const values = Object.entries(theirs[n]!.values).filter(([path]) => path.startsWith('.StatusItems.device.'));
    assert.deepEqual(
      Object.fromEntries(values.map(([path, [value]]) => [path.replace('.StatusItems.', ''), value])),
      ours.values,
      text,
    );
    assert.deepEqual(
      ours.errors.map(({ item }) => item),
      theirs[n]!.errors.flatMap(({ StatusItem }) => StatusItem ?? []),
      text,
    );
    seen += ours.declarations?.length ?? 0;
  }
  assert.ok(seen > 400, `${seen} declarations`);
});
