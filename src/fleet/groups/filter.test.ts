import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { compileFilter } from './compile.ts';
import { evaluate, type Facts, versionOrder } from './evaluate.ts';
import { FIELDS, OPS } from './fields.ts';
import { type Filter, parseFilter } from './filter.ts';
import { previewFilter } from './group.ts';

let database: TestDatabase;
let core: Pool;
let console_: Pool;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'));
  console_ = openPool(database.as('console'));
  owner = openPool(database.admin, { max: 1 });
});
after(async () => {
  await core.end();
  await console_.end();
  await owner.end();
  await database.close();
});

const HOUR = 3_600_000;
/** Far from every boundary that the filters below ask about: ages are in halves of days. */
const ages = [null, 0.5, 1.5, 6.5, 13.5, 40.5];
const versions = [null, '18', '18.0', '18.1', '18.1.0', '18.10', '18.2.1', '9.3.6', '26.0.1', 'beta', '18.', '18..1'];
const texts = ['iPhone16,1', 'iphone16,2', 'iPad13,18', 'A', '%_\\', "o'clock; --", 'Ä'];
const profiles = ['com.example.wifi', 'com.example.vpn', 'com.example'];
const triple = fc.constantFrom(null, true, false);

/** A device as it would be after its reports, in the database's and in the filter's words; written down separately here. */
const device = fc.record({
  state: fc.constantFrom('offered', 'enrolled', 'checked_out'),
  os: fc.constantFrom(...versions),
  model: fc.constantFrom(null, ...texts),
  product: fc.constantFrom(null, ...texts),
  supervised: triple,
  holder: fc.constantFrom(null, 'amber-otter-4821'),
  seenDays: fc.constantFrom(...ages),
  certificateDays: fc.constantFrom(...ages),
  security: fc.option(
    fc.record({
      passcode: triple,
      compliant: triple,
      caps: fc.constantFrom(null, 0, 1, 3, 'x'),
      user: triple,
      dep: triple,
    }),
  ),
  profiles: fc.option(fc.uniqueArray(fc.constantFrom(...profiles), { maxLength: 3 })),
  apps: fc.option(fc.uniqueArray(fc.constantFrom(...profiles), { maxLength: 3 })),
  declared: fc.option(fc.uniqueArray(fc.constantFrom(...profiles), { maxLength: 3 })),
  ownership: fc.constantFrom('organisation', 'personal'),
});
type Device = typeof device extends fc.Arbitrary<infer T> ? T : never;

function factsOf(one: Device, now: number): Facts {
  const { security } = one;
  const encrypted =
    security === null || typeof security.caps !== 'number' || security.passcode === null
      ? null
      : security.caps === 3 && security.passcode;
  return {
    ...{ state: one.state, os: one.os, model: one.model, product: one.product, supervised: one.supervised },
    ...{ holder: one.holder, build: null, serial: null, enrolled: null },
    seen: one.seenDays === null ? null : now - one.seenDays * 24 * HOUR,
    certificate: one.certificateDays === null ? null : now + one.certificateDays * 24 * HOUR,
    passcode: security?.passcode,
    'passcode-compliant': security?.compliant,
    encrypted,
    enrolment:
      security?.user === true
        ? 'user'
        : security?.dep === true
          ? 'automated'
          : security?.dep === false
            ? 'profile'
            : null,
    'push-token': false,
    profile: one.profiles,
    app: one.apps,
    declaration: one.declared,
    ownership: one.ownership,
  };
}

async function insert(t: { query: Pool['query'] }, devices: readonly Device[], owned = t): Promise<number[]> {
  const ids: number[] = [];
  for (const [n, one] of devices.entries()) {
    const { rows } = await t.query<{ id: number }>(
      `insert into fleet.device (handle, state, os_version, model, product_name, supervised, holder, last_seen_at, certificate_not_after)
       values ($1, $2, $3, $4, $5, $6, $7, now() - make_interval(secs => $8), now() + make_interval(secs => $9)) returning id`,
      [
        ...[`random-device-${1000 + n}`, one.state, one.os, one.model, one.product, one.supervised, one.holder],
        ...[
          one.seenDays === null ? null : one.seenDays * 86_400,
          one.certificateDays === null ? null : one.certificateDays * 86_400,
        ],
      ],
    );
    const id = rows[0]!.id;
    ids.push(id);
    const put = (kind: string, facts: object) =>
      t.query('insert into fleet.inventory (device_id, kind, facts) values ($1, $2, $3)', [
        id,
        kind,
        JSON.stringify(facts),
      ]);
    if (one.security !== null) {
      const { passcode, compliant, caps, user, dep } = one.security;
      await put('SecurityInfo', {
        ...(passcode === null ? {} : { PasscodePresent: passcode }),
        ...(compliant === null ? {} : { PasscodeCompliant: compliant }),
        ...(caps === null ? {} : { HardwareEncryptionCaps: caps }),
        ManagementStatus: {
          ...(user === null ? {} : { IsUserEnrollment: user }),
          ...(dep === null ? {} : { EnrolledViaDEP: dep }),
        },
      });
    }
    await t.query('update fleet.device set ownership = $2 where id = $1', [id, one.ownership]);
    if (one.apps !== null)
      await put('InstalledApplicationList', { apps: one.apps.map((name) => ({ Identifier: name, Version: '1' })) });
    if (one.declared !== null) {
      await owned.query('insert into fleet.declared_status (device_id) values ($1)', [id]);
      for (const name of one.declared)
        await owned.query(
          `insert into fleet.declared_state (device_id, kind, identifier, token, active, valid) values ($1, 'configuration', $2, 't', true, 'valid')`,
          [id, name],
        );
      // one that is there and not in force does not count
      await owned.query(
        `insert into fleet.declared_state (device_id, kind, identifier, token, active, valid) values ($1, 'activation', 'com.example.vpn', 't', false, 'valid')`,
        [id],
      );
    }
    if (one.profiles !== null)
      await put('ProfileList', {
        profiles: one.profiles.map((name) => ({ PayloadIdentifier: name, IsManaged: true })),
      });
  }
  return ids;
}

const VALUES = {
  version: fc.constantFrom('18', '18.0.0', '18.1', '18.2', '9', '26.0.1'),
  'yes-no': fc.boolean(),
  span: fc.constantFrom('1d', '24h', '7d', '168h', '30d'),
  none: fc.constant(undefined),
} as const;

/** Only fields that the random devices have something to say about. */
const SAID = [
  'state',
  'os',
  'model',
  'product',
  'supervised',
  'holder',
  'seen',
  'certificate',
  'enrolment',
  'passcode',
  'passcode-compliant',
  'encrypted',
  'profile',
  'push-token',
  'app',
  'declaration',
  'ownership',
];
const condition: fc.Arbitrary<Filter> = fc.constantFrom(...SAID).chain((field) => {
  const { type, choices } = FIELDS[field]!;
  const text =
    choices !== undefined
      ? fc.constantFrom(...choices)
      : type === 'list'
        ? fc.constantFrom(...profiles)
        : fc.constantFrom('IPHONE', ...texts);
  return fc.constantFrom(...Object.entries(OPS[type])).chain(([op, needs]) => {
    const value: fc.Arbitrary<unknown> =
      needs === 'text' ? text : needs === 'texts' ? fc.array(text, { minLength: 1, maxLength: 3 }) : VALUES[needs];
    return value.map((given) => (given === undefined ? { field, op } : { field, op, value: given }) as Filter);
  });
});
const filter = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'filter' },
    condition,
    fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie('filter') }),
  ),
})).filter;

test('the database and a plain evaluator answer alike, unknown included, for random filters over random devices', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(device, { minLength: 1, maxLength: 12 }),
      fc.array(filter, { minLength: 4, maxLength: 8 }),
      async (devices, filters) => {
        // as the owner, who may write everything; what core and console may read is tested below
        const client = await owner.connect();
        try {
          await client.query('begin');
          const now = Date.now();
          const ids = await insert(client as unknown as Pool, devices);
          for (const given of filters) {
            const checked = parseFilter(JSON.parse(JSON.stringify(given)));
            assert.equal(JSON.stringify(checked), JSON.stringify(given), 'a checked filter is the filter');
            const { joins, where, params } = compileFilter(checked, 2);
            const { rows } = await client.query<{ fits: boolean | null }>(
              `select ${where} as fits from fleet.device d ${joins} where d.id = any($1) order by d.id`,
              [ids, ...params],
            );
            assert.deepEqual(
              rows.map(({ fits }) => fits),
              devices.map((one) => evaluate(checked, factsOf(one, now), now)),
              JSON.stringify(given),
            );
          }
        } finally {
          await client.query('rollback');
          client.release();
        }
      },
    ),
    { numRuns: 120 },
  );
});

test('versions compare by their numbers, in the database too', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 2 }),
      async (pair) => {
        const [a, b] = pair.map((parts) => parts.join('.')) as [string, string];
        const { rows } = await core.query<{ less: boolean; same: boolean }>(
          'select fleet.version_key($1) < fleet.version_key($2) as less, fleet.version_key($1) = fleet.version_key($2) as same',
          [a, b],
        );
        assert.deepEqual(rows[0], { less: versionOrder(a, b)! < 0, same: versionOrder(a, b) === 0 });
      },
    ),
    { numRuns: 60 },
  );
});

test('what is no filter is refused, and the refusal says where and why', () => {
  for (const [given, why] of [
    [null, /a condition/],
    [{ all: [] }, /list of conditions/],
    [{ all: [{ field: 'os', op: 'is', value: '18' }], any: [] }, /nothing stands beside/],
    [{ field: 'password', op: 'is', value: 'x' }, /no such field/],
    [{ field: 'constructor', op: 'is', value: 'x' }, /no such field/],
    [{ field: 'os', op: 'toString', value: '18' }, /can be compared with: is, at-least/],
    [{ all: [{ field: 'os', op: 'at-least', value: '18; drop table' }] }, /all 1, os at-least: the value is a version/],
    [{ field: 'seen', op: 'within', value: '0d' }, /12h or 30d/],
    [{ field: 'state', op: 'is', value: 'lost' }, /one of: offered/],
    [{ field: 'holder', op: 'known', value: 'x' }, /takes no value/],
    [{ field: 'model', op: 'is', value: 'a\0b' }, /text of 1 to/],
    [{ field: 'model', op: 'is', value: 'x', sql: '1' }, /'sql' is not part/],
    [{ all: Array.from({ length: 51 }, () => ({ field: 'os', op: 'known' })) }, /more than 50/],
    [{ not: { not: { not: { not: { not: { not: { not: { field: 'os', op: 'known' } } } } } } } }, /nested/],
  ] as const)
    assert.throws(() => parseFilter(given), { code: 'bad-filter', message: why });
});

test('core and console may ask about every fact there is', async () => {
  for (const [field, { type, choices }] of Object.entries(FIELDS)) {
    for (const op of Object.keys(OPS[type])) {
      const needs = OPS[type][op]!;
      const value = {
        text: choices?.[0] ?? 'x',
        texts: [choices?.[0] ?? 'x'],
        version: '18',
        'yes-no': true,
        span: '1d',
        none: undefined,
      }[needs];
      for (const pool of [core, console_])
        assert.ok((await previewFilter(pool, value === undefined ? { field, op } : { field, op, value })).count >= 0);
    }
  }
});
