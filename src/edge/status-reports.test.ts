import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type Json, systemClock } from '#base';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { takeReport } from './declarative.ts';
import { Declared } from './declared.ts';

// Status reports of declarative management through the parser and SQL: whatever came before, what is stored is what the
// equivalent full report leaves (Apple's StatusReport: incremental reports name changes, FullReport replaces everything).
const KEYS = {
  v: 1,
  org: 'o',
  inner: '',
  outer: '',
  ledger: '',
  log: '',
  core: '',
  release: '',
  writers: { edge: '', intake: '', glass: '' },
} as const;
let database: TestDatabase;
let owner: Pool;
let edge: Pool;
let declared: Declared;
before(async () => {
  database = await testDatabase();
  owner = openPool(database.admin, { max: 1 });
  edge = openPool(database.as('edge'));
  declared = new Declared(edge, KEYS, systemClock);
});
after(async () => {
  await edge.end();
  await owner.end();
  await database.close();
});

interface Device {
  readonly id: number;
  readonly udid: string;
  readonly certificate: Buffer;
}
let made = 0;
async function device(): Promise<Device> {
  made += 1;
  const udid = randomUUID();
  const certificate = randomBytes(32);
  const { rows } = await owner.query<{ id: number }>(
    `insert into fleet.device (handle, state, udid, certificate_sha256) values ($1, 'enrolled', $2, $3) returning id`,
    [`amber-${'abcdefghijklmnopqrstuvwxyz'[Math.floor(made / 9000) % 26]}x-${1000 + (made % 9000)}`, udid, certificate],
  );
  return { id: rows[0]!.id, udid, certificate };
}

const send = async ({ certificate, udid }: Device, report: object): Promise<void> => {
  assert.equal(await takeReport(declared, certificate, udid, Buffer.from(JSON.stringify(report))), 'own');
};

/** All that the tables hold of a device, but when. */
async function storedOf({ id }: Device): Promise<object> {
  const { rows } = await owner.query<{ values: object; lists: object; errors: object; states: object[] }>(
    `select s."values", s.lists, s.errors, coalesce((select jsonb_agg(jsonb_build_array(x.kind, x.identifier, x.token, x.active, x.valid, x.reasons)
        order by x.kind, x.identifier) from fleet.declared_state x where x.device_id = s.device_id), '[]') as states
     from fleet.declared_status s where s.device_id = $1`,
    [id],
  );
  return rows[0] ?? {};
}

const MISSING = Symbol('not reported');
const DECLARATIONS = 'management.declarations';
const code = fc.constantFrom('Error.NotSupported', 'Error.Unavailable', 'Info.Later');
/** The last two look like somebody: they are not kept. */
const text = fc.constantFrom('18.3', 'iPhone', 'none', 'downloading', 'Error (a)', '+447700900123', 'maja@example.org');
const VALUES: Readonly<Record<string, fc.Arbitrary<Json>>> = {
  'passcode.is-present': fc.boolean(),
  'passcode.is-compliant': fc.boolean(),
  'device.model.family': text,
  'device.operating-system.version': fc.constantFrom('18.3', '26.1', '26.2'),
  'softwareupdate.pending-version': fc.record(
    { 'os-version': text, 'build-version': text },
    { requiredKeys: ['os-version'] },
  ),
  'softwareupdate.failure-reason': fc.record({ count: fc.nat(9), reason: text }, { requiredKeys: ['count'] }),
};
const entries = fc.dictionary(
  fc.constantFrom('com.example.maps', 'com.example.mail', 'constructor', 'a b {1}', 'x'),
  fc.record({ state: text, 'short-version': text, name: fc.constant('Maja’s app') }, { requiredKeys: ['name'] }),
);
const LISTS = ['app.managed.list', 'mdm.app'];
const states = fc.dictionary(
  fc.constantFrom('a', 'b.c', 'constructor'),
  fc.record({
    'server-token': fc.constantFrom('t1', 't2'),
    active: fc.boolean(),
    valid: fc.constantFrom('valid', 'invalid', 'unknown'),
    reasons: fc.array(
      code.map((one) => ({ code: one, description: 'of Maja’s phone' })),
      { maxLength: 2 },
    ),
  }),
);
const declarations = fc.record({ activations: states, assets: states, configurations: states, management: states });

type Told = Json | { readonly error: string } | typeof MISSING;
interface Step {
  readonly full: boolean;
  readonly flat: boolean;
  readonly changes: Readonly<Record<string, Told | undefined>>;
}

const failing = code.map((error) => ({ error }));
const paths: [string, fc.Arbitrary<Json>][] = [
  ...Object.entries(VALUES),
  ...LISTS.map((path): [string, fc.Arbitrary<Json>] => [path, entries as fc.Arbitrary<Json>]),
  [DECLARATIONS, declarations as fc.Arbitrary<Json>],
];
const step: fc.Arbitrary<Step> = fc.record({
  full: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
  flat: fc.boolean(),
  changes: fc.record(
    Object.fromEntries(
      paths.map(([path, value]): [string, fc.Arbitrary<Told>] => [
        path,
        fc.oneof({ weight: 5, arbitrary: value }, { weight: 2, arbitrary: failing }, fc.constant(MISSING)),
      ]),
    ),
    { requiredKeys: [] },
  ),
});

const entriesOf = (changes: Step['changes']): [string, Told][] =>
  Object.entries(changes).flatMap(([path, told]) => (told === undefined ? [] : [[path, told]]));
const isError = (told: Told): told is { readonly error: string } =>
  typeof told === 'object' && told !== null && 'error' in told && Object.keys(told).length === 1;
const items = (told: Told | undefined): { readonly [name: string]: object } =>
  typeof told === 'object' && told !== null && !isError(told) ? (told as { readonly [name: string]: object }) : {};
const listed = (told: Told | undefined) =>
  Object.entries(items(told)).map(([identifier, one]) => ({ identifier, ...one }));

/** What a device would send: `now` whole, or what differs from what it told before. */
function report(
  before: ReadonlyMap<string, Told>,
  now: ReadonlyMap<string, Told>,
  { full, flat }: Omit<Step, 'changes'>,
) {
  const found: [string, unknown][] = [
    ['account.list.mail.incoming', [{ identifier: '1', username: 'maja@example.org' }]],
  ];
  const errors: object[] = [];
  for (const [path, told] of now) {
    const same = JSON.stringify(before.get(path)) === JSON.stringify(told);
    if (told === MISSING || (same && !full)) continue;
    if (isError(told)) errors.push({ StatusItem: path, Reasons: [{ Code: told.error, Description: 'Maja’s' }] });
    else if (path === DECLARATIONS) {
      found.push([
        path,
        Object.fromEntries(Object.entries(items(told)).map(([kind, of]) => [kind, listed(of as Json)])),
      ]);
    } else if (LISTS.includes(path)) {
      const old = items(full ? undefined : before.get(path));
      const gone = Object.keys(old).filter((identifier) => !Object.hasOwn(items(told), identifier));
      const news = listed(told).filter(
        (one) => JSON.stringify({ identifier: one.identifier, ...old[one.identifier] }) !== JSON.stringify(one),
      );
      found.push([path, [...gone.map((identifier) => ({ identifier, _removed: true })), ...news]]);
    } else found.push([path, told]);
  }
  return {
    StatusItems: flat ? Object.fromEntries(found) : nest(found),
    Errors: errors,
    ...(full ? { FullReport: true } : {}),
  };
}

function nest(found: readonly [string, unknown][]): object {
  const root: { [name: string]: unknown } = {};
  for (const [path, value] of found) {
    const parts = path.split('.');
    let node = root;
    for (const part of parts.slice(0, -1)) {
      node[part] ??= {};
      node = node[part] as typeof root;
    }
    node[parts.at(-1)!] = value;
  }
  return root;
}

test('any sequence of full and incremental reports leaves what one full report of the same would', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 7 }), async (steps) => {
      const [one, other] = [await device(), await device()];
      let told = new Map<string, Told>();
      for (const { changes, ...how } of steps) {
        // What is no longer reported is missing from full reports alone: an incremental one cannot say so.
        const news = entriesOf(changes).filter(([, value]) => how.full || value !== MISSING);
        const now = new Map([...told, ...news]);
        await send(one, report(told, now, how));
        told = now;
      }
      await send(other, report(new Map(), told, { full: true, flat: false }));
      const stored = await storedOf(one);
      assert.deepEqual(stored, await storedOf(other));
      assert.doesNotMatch(JSON.stringify(stored), /Maja|maja|7700/);
    }),
    { numRuns: 80 },
  );
});

test('the same report twice changes nothing and makes no history', async () => {
  await fc.assert(
    fc.asyncProperty(step, async ({ changes, flat }) => {
      const one = await device();
      const now = new Map(entriesOf(changes));
      for (const full of [true, false, true]) await send(one, report(new Map(), now, { full, flat }));
      const { rows } = await owner.query('select 1 from fleet.status_change where device_id = $1', [one.id]);
      assert.equal(rows.length, 0);
    }),
    { numRuns: 40 },
  );
});

test('what a device can make us keep is bounded, whatever it reports for ever', async () => {
  const one = await device();
  const names = (round: number, count: number) => Array.from({ length: count }, (_, n) => `r${round}.n${n}`);
  for (let round = 0; round < 6; round += 1) {
    const apps = names(round, 1_900).map((identifier) => ({ identifier, state: 'managed', version: 'x'.repeat(120) }));
    const certificates = names(round, 1_900).map((identifier) => ({ identifier, 'is-identity': true }));
    const mine = names(round, 500).map((identifier) => ({
      identifier,
      'server-token': 't'.repeat(500),
      active: true,
      valid: 'valid',
    }));
    await send(one, {
      StatusItems: {
        app: { managed: { list: apps } },
        security: { certificate: { list: certificates } },
        management: { declarations: { activations: mine, assets: mine, configurations: mine, management: mine } },
        ...Object.fromEntries(names(round, 500).map((name) => [name, 'Maja'])),
      },
      Errors: names(round, 400).map((StatusItem) => ({
        StatusItem,
        Reasons: names(round, 40).map((Code) => ({ Code })),
      })),
    });
  }
  const { rows } = await owner.query<Record<string, number>>(
    `select (select count(*) from jsonb_object_keys(s.lists->'app.managed.list'))::int as apps,
       (select count(*) from jsonb_object_keys(s.lists->'security.certificate.list'))::int as certificates,
       (select count(*) from jsonb_object_keys(s.errors))::int as errors,
       (select max(jsonb_array_length(e.value)) from jsonb_each(s.errors) e) as codes,
       (select count(*) from fleet.declared_state x where x.device_id = s.device_id)::int as states,
       (select max(length(x.token)) from fleet.declared_state x where x.device_id = s.device_id) as token,
       (select count(*) from fleet.status_change c where c.device_id = s.device_id)::int as history,
       octet_length(s::text) as bytes
     from fleet.declared_status s where s.device_id = $1`,
    [one.id],
  );
  const { apps, certificates, errors, codes, states: held, token, history, bytes } = rows[0]!;
  assert.deepEqual(
    { apps, certificates, codes, held, token },
    { apps: 1_900, certificates: 1_900, codes: 16, held: 2_000, token: 128 },
  );
  assert.ok(errors! >= 100 && errors! <= 500, `${errors} errors`);
  assert.ok(history! <= 2_000, `${history} lines of history`);
  assert.ok(bytes! < 1_000_000, `${bytes} bytes`);
});

test('no text that a device sends upsets the others whose reports travel with it', async () => {
  const odd = fc.oneof(
    fc.constantFrom('\0', '\ud800', 'a\0b', '\ud83d\ude00', `${'a'.repeat(127)}\ud83d\ude00`, `${'b'.repeat(100)}\0`),
    fc.string({ unit: 'binary', maxLength: 140 }),
  );
  const good = await device();
  await fc.assert(
    fc.asyncProperty(odd, odd, async (first, second) => {
      const bad = await device();
      const state = {
        identifier: first,
        'server-token': second,
        active: true,
        valid: first,
        reasons: [{ code: second }],
      };
      const app = { identifier: first, state: second, version: first };
      const management = { declarations: { configurations: [state, { ...state, identifier: 'a' }] } };
      await Promise.all([
        send(bad, {
          StatusItems: { app: { managed: { list: [app] } }, device: { model: { family: first } }, management },
          Errors: [{ StatusItem: first, Reasons: [{ Code: second }] }],
        }),
        send(good, { StatusItems: { device: { model: { family: 'iPhone' } } }, Errors: [] }),
      ]);
    }),
    { numRuns: 60 },
  );
});
