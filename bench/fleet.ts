import { parseArgs } from 'node:util';
import { followFacts, judgeSilence, listDevices, saveGroup, saveRule } from '#fleet';
import { openPool, type Pool, startTestServer, testDatabase, tx } from '#store';
import { benchHandle } from './devices.ts';
import { machine, median } from './measure.ts';

const BY = 'amber-otter-4821';
const TOUCHED = 1_000;

/** Milliseconds of `work`, the median and the slowest of `rounds`. */
async function timed(
  rounds: number,
  work: (round: number) => Promise<unknown>,
): Promise<{ ms: number; worst_ms: number }> {
  const took: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const from = performance.now();
    await work(round);
    took.push(performance.now() - from);
  }
  return { ms: Math.round(median(took) * 10) / 10, worst_ms: Math.round(Math.max(...took) * 10) / 10 };
}

const settle = async (core: Pool) => {
  while ((await followFacts(core)) > 0) {
    // until nothing is left
  }
};

async function fill(owner: Pool, devices: number): Promise<void> {
  const handles = Array.from({ length: devices }, (_, n) => benchHandle(n));
  await owner.query(
    `insert into fleet.device (handle, state, udid, serial, model, product_name, os_version, supervised, enrolled_at, last_seen_at,
       certificate_not_after, push_token)
     select h, case when n % 50 = 0 then 'checked_out' else 'enrolled' end, 'U' || n, 'S' || n, 'MODEL' || n % 7, 'iPhone' || 12 + n % 5 || ',1',
       (16 + n % 11) || '.' || n % 7, n % 3 = 0, now() - interval '100 days', now() - (n % 40) * interval '12 hours',
       now() + (n % 300) * interval '1 day', 'token'
     from unnest($1::text[]) with ordinality x(h, n)`,
    [handles],
  );
  await owner.query(
    `insert into fleet.inventory (device_id, kind, facts) select d.id, 'SecurityInfo', jsonb_build_object('PasscodePresent', d.id % 20 <> 0,
       'PasscodeCompliant', true, 'HardwareEncryptionCaps', 3, 'ManagementStatus', '{"EnrolledViaDEP": true, "IsUserEnrollment": false}'::jsonb)
     from fleet.device d where d.id % 10 <> 0`,
  );
  await owner.query(
    `insert into fleet.inventory (device_id, kind, facts) select d.id, 'ProfileList', jsonb_build_object('profiles', jsonb_build_array(
       jsonb_build_object('PayloadIdentifier', 'org.bartizan.enrolment', 'IsManaged', true, 'PayloadUUID', 'E')))
     from fleet.device d where d.id % 10 <> 0`,
  );
  // The marks of 300 000 new rows are the business of an import, not of this bench.
  await owner.query('truncate fleet.touched');
  await owner.query('vacuum analyze');
}

/** Lists, groups, compliance and silence over a fleet of `--devices N` (default 100 000), in this process, as core and console. */
export async function fleetBench(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    options: { devices: { type: 'string', default: '100000' } },
  });
  const devices = Number(values.devices);
  const server = await startTestServer();
  process.env['BARTIZAN_TEST_PG'] = server.shared;
  const database = await testDatabase();
  const pools = {
    core: openPool(database.as('core')),
    console: openPool(database.as('console')),
    owner: openPool(database.admin),
  };
  try {
    say(`making ${devices} devices`);
    await fill(pools.owner, devices);
    const list = (asked: Omit<Parameters<typeof listDevices>[1], 'limit'>) =>
      listDevices(pools.console, { ...asked, limit: 101 });
    const old = {
      all: [
        { field: 'state', op: 'is', value: 'enrolled' },
        { field: 'os', op: 'below', value: '18' },
      ],
    };
    const rare = {
      all: [
        { field: 'encrypted', op: 'is', value: false },
        { field: 'model', op: 'is', value: 'MODEL3' },
      ],
    };
    const lists = {
      first_page: await timed(15, () => list({})),
      page_at_the_middle: await timed(15, () => list({ after: benchHandle(Math.floor(devices / 2)) })),
      by_state: await timed(15, () => list({ state: 'enrolled' })),
      by_text: await timed(15, (n) => list({ text: `s${(n + 1) * 531}` })),
      by_filter: await timed(15, () => list({ filter: old })),
      by_rare_filter_over_reports: await timed(15, () => list({ filter: rare })),
    };
    say(`lists: ${JSON.stringify(lists)}`);
    const whole: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await tx(pools.console, (t) => saveGroup(t, { name: `Old ${n}`, filter: n % 2 === 0 ? old : rare, by: BY }));
      const from = performance.now();
      await settle(pools.core);
      whole.push(performance.now() - from);
      // Members that come make marks; they are part of the next figure, not of this one.
    }
    const judged: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const condition = {
        all: [
          { field: 'os', op: 'at-least', value: '18' },
          { field: 'encrypted', op: 'is', value: true },
        ],
      };
      await tx(pools.console, (t) =>
        saveRule(t, { name: `Sound ${n}`, group: null, condition, graceHours: 24, by: BY }),
      );
      const from = performance.now();
      await settle(pools.core);
      judged.push(performance.now() - from);
    }
    say(`whole: groups ${whole.map(Math.round)}, rules ${judged.map(Math.round)}`);
    const touched = await timed(7, async (n) => {
      await pools.owner.query(`update fleet.device set os_version = $1 where id <= $2`, [`26.${n}`, TOUCHED]);
      await settle(pools.core);
    });
    const silence = await timed(3, () => judgeSilence(pools.core));
    const group = (await pools.owner.query<{ id: string }>(`select id from fleet.device_group where name = 'Old 0'`))
      .rows[0]!.id;
    const byGroup = await timed(15, () => list({ group }));
    return {
      ...{ devices, lists: { ...lists, by_group: byGroup } },
      group_refresh_whole_ms: Math.round(median(whole)),
      compliance_whole_ms: Math.round(median(judged)),
      // 5 groups, 3 rules and drift, for 1 000 devices whose system version changed at once
      thousand_changed_devices: touched,
      silence_whole: silence,
      command: `npm run bench -- fleet --devices ${devices} --json`,
      machine: machine(),
    };
  } finally {
    for (const pool of Object.values(pools)) await pool.end();
    await database.close();
    await server.stop();
  }
}
