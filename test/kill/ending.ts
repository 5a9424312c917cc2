import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { canonicalJson, type Json, sha256, toBase64url } from '#base';
import { decodeEntries, entriesPath, TILE_WIDTH } from '#proof';
import { logFolder, verifyLogDir } from '../../src/run/log-verify.ts';
import type { Acts } from './acts.ts';
import type { Broken } from './invariants.ts';
import type { World } from './world.ts';

/** Once all is quiet: rows, log and phones tell one story. Each query gives the rows that break it. */
const AT_REST: readonly { readonly what: string; readonly sql: string }[] = [
  {
    what: 'every intent reached an end',
    sql: `select id, verb, state from fleet.intent where state not in ('dispatched', 'refused', 'cancelled', 'expired') limit 5`,
  },
  {
    what: 'every command reached an end',
    sql: `select uuid, request_type, state from fleet.command where done_at is null or held_by is not null limit 5`,
  },
  {
    what: 'what gave way gave way, in the end, to something that was done or taken back',
    sql: `with recursive way as (select uuid as first, superseded_by as at from fleet.command where state = 'superseded'
        union select w.first, c.superseded_by from way w join fleet.command c on c.uuid = w.at where c.state = 'superseded')
      select s.uuid from fleet.command s where s.state = 'superseded' and not exists (select from way w
        join fleet.command c on c.uuid = w.at where w.first = s.uuid and c.state <> 'superseded') limit 5`,
  },
  {
    what: 'the log has exactly one result for a command that has one, and none for others',
    sql: `with told as (select (body->'unmapped'->>'command')::uuid as uuid from log.event
          where kind = 'command.result' and body->'unmapped'->>'status' <> 'NotNow'
        union all select fleet.fan_out_uuid((body->'unmapped'->>'fan_out')::uuid, x) from log.event,
          jsonb_array_elements_text(body->'unmapped'->'devices') x where kind = 'command.group_result'),
      counted as (select uuid, count(*)::int as n from told group by 1)
      select coalesce(c.uuid, t.uuid) as uuid, c.state, t.n from
        (select uuid, state from fleet.command where state in ('acknowledged', 'error', 'unsupported', 'format_error')) c
        full join counted t on t.uuid = c.uuid where c.uuid is null or t.n is distinct from 1 limit 5`,
  },
  {
    what: 'the log has exactly one delivery for a command that was delivered',
    sql: `with told as (select (body->'unmapped'->>'command')::uuid as uuid from log.event where kind = 'command.delivered'
        union all select fleet.fan_out_uuid((body->'unmapped'->>'fan_out')::uuid, x) from log.event,
          jsonb_array_elements_text(body->'unmapped'->'devices') x where kind = 'command.group_delivered'),
      counted as (select uuid, count(*)::int as n from told group by 1)
      select coalesce(c.uuid, t.uuid) as uuid, c.deliveries, t.n from (select uuid, deliveries from fleet.command where deliveries > 0) c
        full join counted t on t.uuid = c.uuid where c.uuid is null or t.n is distinct from 1 limit 5`,
  },
  {
    what: 'the log says once of every fan-out that it was queued, and for how many',
    sql: `select f.id from fleet.fan_out f where (select array_agg((e.body->'unmapped'->>'count')::int) from log.event e
      where e.kind = 'command.group_queued' and e.body->'unmapped'->>'fan_out' = f.id::text) is distinct from array[f.members] limit 5`,
  },
  {
    what: 'the log says once of every single command that it was queued',
    sql: `select i.id from fleet.intent i where i.dispatched_at is not null and i.scope is null
      and (select count(*) from fleet.command c where c.intent_id = i.id) <> (select count(distinct e.body->'unmapped'->>'command')
        from log.event e where e.kind = 'command.queued' and e.body->'unmapped'->>'intent' = i.id::text) limit 5`,
  },
  {
    what: 'the log counts all that gave way',
    sql: `select * from (select count(*)::int as n from fleet.command where state = 'superseded') s,
      (select coalesce(sum(coalesce((x.body->'unmapped'->>'count')::int, 1)), 0)::int as told from log.event x
        where x.kind = 'command.superseded') e where e.told <> s.n`,
  },
  { what: 'every event is a leaf', sql: 'select uid, kind from log.event where leaf is null limit 5' },
  {
    what: 'every event is a leaf of its own',
    sql: 'select leaf from log.event group by 1 having count(*) > 1 limit 5',
  },
];

export async function judge(world: World, acts: Acts): Promise<Broken[]> {
  const broken: Broken[] = [];
  for (const { what, sql } of AT_REST) {
    const { rows } = await world.pool.query<object>(sql);
    if (rows.length > 0) broken.push({ what, rows });
  }
  const add = (what: string, rows: readonly object[]) => {
    if (rows.length > 0) broken.push({ what, rows: rows.slice(0, 5) });
  };
  add('nothing that was taken was lost', await lost(world, acts));
  add('a phone does again only what it could not say that it did', await doubles(world));
  add('a phone did what its row says', await undone(world));
  add('each whole phone holds the one certificate that counts', await identities(world));
  add('each whole phone has the version that was rolled out last', await rolledOut(world));
  add('the log is whole and is what the rows say', await evidence(world));
  return broken;
}

async function lost(world: World, acts: Acts): Promise<object[]> {
  const { rows } = await world.pool.query<{ id: string; state: string }>(
    `select x.id, i.state from unnest($1::uuid[]) x(id) left join fleet.intent i on i.id = x.id`,
    [[...acts.taken]],
  );
  return rows.filter(({ id, state }) => state !== 'dispatched' && !(state === 'cancelled' && acts.cancelled.has(id)));
}

async function doubles(world: World): Promise<object[]> {
  return [...world.witnesses].flatMap(([device, { did }]) =>
    [...did]
      .filter(([, { times, unanswered }]) => times > 1 + unanswered)
      .map(([uuid, one]) => ({ device, uuid, ...one })),
  );
}

async function undone(world: World): Promise<object[]> {
  const { rows } = await world.pool.query<{ uuid: string; handle: string; state: string }>(
    `select c.uuid, d.handle, c.state from fleet.command c join fleet.device d on d.id = c.device_id
     where c.state in ('acknowledged', 'error')`,
  );
  return rows.filter(({ uuid, handle }) => (world.witnesses.get(handle)?.did.get(uuid)?.times ?? 0) < 1);
}

async function identities(world: World): Promise<object[]> {
  const { rows } = await world.pool.query<{ udid: string; state: string; pinned: string; good: number }>(
    `select d.udid, d.state, encode(d.certificate_sha256, 'hex') as pinned,
       (select count(*)::int from fleet.certificate c where c.device_id = d.id and c.revoked_at is null) as good
     from fleet.device d where d.handle = any($1)`,
    [world.whole],
  );
  const held = new Map(
    world.stage.fleet.phones.map(({ state }) => [
      state.udid,
      new X509Certificate(Buffer.from(state.identity!.certificate, 'base64')).fingerprint256
        .replaceAll(':', '')
        .toLowerCase(),
    ]),
  );
  return rows.filter(
    ({ udid, state, pinned, good }) => state !== 'enrolled' || good !== 1 || pinned !== held.get(udid),
  );
}

async function rolledOut(world: World): Promise<object[]> {
  const { rows } = await world.pool.query<{ name: string; state: string }>(
    `select substring(convert_from(v.body, 'UTF8') from 'version [0-9]+') as name, r.state from fleet.rollout r join fleet.profile_version v on v.id = r.version_id order by r.started_at desc limit 1`,
  );
  if (rows[0] === undefined) return [];
  if (rows[0].state !== 'done') return [rows[0]];
  return world.stage.fleet.phones
    .map(({ state }) => ({
      udid: state.udid,
      wanted: rows[0]!.name,
      has: state.profiles.filter(({ identifier }) => identifier === 'org.example.rollout').map(({ name }) => name),
    }))
    .filter(({ wanted, has }) => has.length !== 1 || has[0] !== wanted);
}

/** The files verify, and each of core's leaves is the digest of the event that says it is that leaf. */
async function evidence(world: World): Promise<object[]> {
  const dir = join(world.home, 'ledger', 'log');
  const report = await verifyLogDir(dir, { verifierKey: world.product.keys.log });
  if (!report.ok) return [...report.problems];
  const reader = logFolder(dir);
  const digests: (string | undefined)[] = [];
  for (let at = 0; at < report.entries; at += TILE_WIDTH) {
    const bytes = await reader.read(entriesPath(at / TILE_WIDTH, Math.min(TILE_WIDTH, report.entries - at)));
    for (const entry of decodeEntries(bytes!))
      digests.push((JSON.parse(entry.toString('utf8')) as { digest?: string }).digest);
  }
  const { rows } = await world.pool.query<{ uid: string; leaf: number; salt: Buffer; body: Json }>(
    'select uid, leaf::int as leaf, salt, body from log.event where leaf < $1',
    [report.entries],
  );
  const told = new Set(rows.map(({ leaf }) => leaf));
  return [
    ...rows
      .filter(({ leaf, salt, body }) => digests[leaf] !== toBase64url(sha256(salt, canonicalJson(body))))
      .map(({ uid, leaf }) => ({ uid, leaf })),
    ...digests.flatMap((_, leaf) => (told.has(leaf) ? [] : [{ leaf, why: 'no event says this leaf' }])),
  ];
}
