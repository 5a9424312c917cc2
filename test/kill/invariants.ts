import type { World } from './world.ts';

/** What must hold at every moment, whatever died; each query gives the rows that break it. */
const ALWAYS: readonly { readonly what: string; readonly sql: string }[] = [
  {
    what: 'a fan-out is queued entirely or not at all',
    sql: `select f.id, f.members, count(c.uuid)::int as queued from fleet.fan_out f left join fleet.command c on c.fan_out_id = f.id
      where f.created_at > $1 group by f.id having count(c.uuid) <> f.members limit 5`,
  },
  {
    what: 'an intent to many is dispatched if and only if its fan-out is there',
    sql: `select i.id, i.state from fleet.intent i left join fleet.fan_out f on f.id = i.id
      where i.created_at > $1 and i.scope is not null and (f.id is not null) <> (i.dispatched_at is not null) limit 5`,
  },
  {
    what: 'single commands are there all or none, and all if the intent was dispatched',
    sql: `select i.id, i.state, count(c.uuid)::int as queued, jsonb_array_length(i.targets) as wanted
      from fleet.intent i left join fleet.command c on c.intent_id = i.id where i.created_at > $1 and i.scope is null
      group by i.id having count(c.uuid) <> case when i.dispatched_at is null then 0 else jsonb_array_length(i.targets) end limit 5`,
  },
  {
    what: 'of commands that give way to each other no device has two that it has not fetched',
    sql: `select c.device_id, min(c.uuid::text) as one, max(c.uuid::text) as other, count(*)::int as n from fleet.command c
      join fleet.intent i on i.id = coalesce(c.intent_id, c.fan_out_id)
      where (c.done_at is null or c.held_by is not null) and c.state in ('queued', 'held') and c.deliveries = 0 and $1::timestamptz is not null
        and c.request_type in ('DeviceInformation', 'SecurityInfo', 'ProfileList', 'CertificateList', 'InstalledApplicationList',
          'InstallProfile', 'RemoveProfile', 'DeviceLock')
      group by c.device_id, c.channel_id, c.key, replace(replace(c.request_type, 'Install', ''), 'Remove', '') having count(*) > 1 limit 5`,
  },
  {
    what: 'what is held does not count as pending, and nothing else is marked as held',
    sql: `select uuid, state, held_by, done_at::text from fleet.command where $1::timestamptz is not null
      and (held_by is not null or state = 'held') and (held_by is null or state <> 'held' or done_at <> 'infinity') limit 5`,
  },
  {
    what: 'a superseded command names the one that took its place, and that one exists',
    sql: `select o.uuid from fleet.command o left join fleet.command n on n.uuid = o.superseded_by
      where o.state = 'superseded' and o.done_at > $1 and (n.uuid is null or n.device_id <> o.device_id) limit 5`,
  },
  {
    what: 'the numbers of the log have no hole',
    sql: `select count(*), max(n) from log.event where n is not null and $1::timestamptz is not null having count(*) <> max(n)
      union all select count(*), max(position) from log.event where position is not null having count(*) <> max(position)`,
  },
];

export interface Broken {
  readonly what: string;
  readonly rows: readonly object[];
  readonly events?: readonly object[];
}

/** Looks at everything that began since `since`, and at what the phones know. */
export async function look(world: World, since: Date): Promise<Broken[]> {
  const broken: Broken[] = [];
  for (const { what, sql } of ALWAYS) {
    const { rows } = await world.pool.query<object>(sql, [since]);
    if (rows.length > 0) broken.push({ what, rows });
  }
  const again = [...world.witnesses].flatMap(([device, one]) => one.again.map((uuid) => ({ device, uuid })));
  if (again.length > 0) {
    const { rows } = await world.pool.query<object>(
      'select uuid, request_type, state, deliveries, delivered_at, done_at from fleet.command where uuid = any($1) limit 5',
      [again.map(({ uuid }) => uuid)],
    );
    broken.push({ what: 'a command whose answer was taken never comes again', rows });
  }
  return Promise.all([...broken, ...(await phonesAgree(world, since.getTime()))].map((one) => withEvents(world, one)));
}

/** What the log says of the commands that broke something, for whoever looks for the cause. */
async function withEvents(world: World, broken: Broken): Promise<Broken> {
  const { rows } = await world.pool.query<object>(
    `select e.time::text, e.kind, e.actor, e.body->'unmapped' as detail from log.event e, unnest($1::text[]) u
     where e.body->'unmapped'->>'command' = u order by e.seq limit 40`,
    [broken.rows.flatMap((row) => ('uuid' in row ? [String(row.uuid)] : []))],
  );
  return rows.length === 0 ? broken : { ...broken, events: rows };
}

/** An answer that was taken with 200 is in its row, and nothing was handed out after its end. */
async function phonesAgree(world: World, since: number): Promise<Broken[]> {
  // Copies: what phones do while the rows are read is not what the rows are held against.
  const seen = [...world.witnesses].flatMap(([, { did }]) =>
    [...did]
      .filter(([, { receivedAt, answeredAt }]) => receivedAt > since || (answeredAt ?? 0) > since)
      .map(([uuid, one]) => [uuid, { ...one }] as const),
  );
  const { rows } = await world.pool.query<{
    uuid: string;
    state: string;
    deliveries: number;
    asked: boolean;
    ended: number | null;
  }>(
    `select uuid, state, deliveries, coalesce(intent_id, fan_out_id) is not null as asked, case when done_at < 'infinity' then extract(epoch from done_at)::double precision * 1000 end as ended
     from fleet.command where uuid = any($1)`,
    [seen.map(([uuid]) => uuid)],
  );
  const now = new Map(rows.map((row) => [row.uuid, row]));
  const lost: object[] = [];
  const late: object[] = [];
  for (const [uuid, { receivedAt, answeredAt, status, verb, putOff }] of seen) {
    const row = now.get(uuid);
    const early = { uuid, verb, status, receivedAt, answeredAt, ...row };
    if (row === undefined) lost.push(early);
    else if (['superseded', 'cancelled', 'expired'].includes(row.state)) {
      // What was put off may end, by a transaction that began before it was handed out.
      // A renewal takes its own command back when it tries anew, fetched or not.
      if (row.asked && receivedAt > row.ended! && !putOff && !forgotten(world, row.deliveries, receivedAt))
        late.push(early);
    } else if (answeredAt !== undefined && !ENDS[status!]?.includes(row.state)) lost.push(early);
  }
  return [
    ...(lost.length === 0 ? [] : [{ what: 'an answer that was taken is in its row', rows: lost.slice(0, 5) }]),
    ...(late.length === 0
      ? []
      : [{ what: 'what was taken back or gave way is not handed out afterwards', rows: late.slice(0, 5) }]),
  ];
}

/**
 * What only reads or changes is handed out before that is on disk (edge.deliver), so that a database that dies within the
 * next moments forgets it, and takes it for unfetched. The bytes may be on their way for as long as both sides are busy.
 */
function forgotten(world: World, deliveries: number, receivedAt: number): boolean {
  return deliveries === 0 && world.databaseDied.some((at) => receivedAt - at < FORGOTTEN_MS && receivedAt > at - 1_000);
}

const FORGOTTEN_MS = 15_000;

const ENDS: Readonly<Record<string, readonly string[]>> = {
  Acknowledged: ['acknowledged'],
  Error: ['error', 'unsupported'],
  CommandFormatError: ['format_error'],
};
