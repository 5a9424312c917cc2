import type { KeyObject } from 'node:crypto';
import { fromBase64url, newToken, sha256, toBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import { signDelivery } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { buildCommand } from '#wire';
import { profileAnew } from './anew.ts';
import { decide, type RenewalState, renewalAlarm } from './decide.ts';

export interface RenewalOptions {
  /** Core's command key. */
  readonly signKey: KeyObject;
  /** Edge's origin: the profile must name the addresses that the device was enrolled with. */
  readonly origin: string;
  readonly organisation: string;
  /** Days before its end at which a certificate is renewed. */
  readonly days: number;
  readonly now: number;
}

interface Row {
  readonly device_id: number;
  readonly handle: string;
  readonly enrolled: boolean;
  readonly topic: string;
  readonly enrolment: string | null;
  readonly not_after: number;
  readonly state: RenewalState;
  readonly next_at: number;
  readonly attempts: number;
  readonly command_uuid: string | null;
  readonly command: string | null;
}

const BATCH = 100;
const MS = (column: string) => `extract(epoch from ${column})::double precision * 1000`;
/** The end of a certificate; of one that was imported by its hash alone it is unknown, so now. `$1` is now. */
const END = `coalesce(d.certificate_not_after, to_timestamp($1::double precision / 1000))`;
const AT = (parameter: string) => `to_timestamp(${parameter}::double precision / 1000)`;

/**
 * One round of renewals: finds certificates that are due, carries every open renewal one step on, speaks up about those
 * that run out. Returns how many were carried on. Each round is one transaction: a crash repeats it as a whole, and a command
 * that was queued is found again by its renewal's row.
 */
export async function renewCertificates(pool: Pool, options: RenewalOptions): Promise<number> {
  await findDue(pool, options);
  const moved = await tx(pool, async (t) => {
    const { rows } = await t.query<Row>(
      `select r.device_id, d.handle, d.state = 'enrolled' as enrolled, d.topic, e.id as enrolment,
         ${MS(END)} as not_after, r.state, ${MS('r.next_at')} as next_at, r.attempts, r.command_uuid,
         k.state as command
       from fleet.renewal r join fleet.device d on d.id = r.device_id left join fleet.command k on k.uuid = r.command_uuid
       left join lateral (${ENROLMENT}) e on e.renewable
       where r.state in ('due', 'sent', 'issued') and (r.next_at <= ${AT('$1')} or d.state <> 'enrolled'
         or (r.state = 'sent' and k.done_at is not null)
         or (r.state = 'issued' and k.done_at is not null and k.state <> 'acknowledged'))
       order by r.next_at limit $2 for update of r skip locked`,
      [options.now, BATCH],
    );
    for (const row of rows) await step(t, row, options);
    return rows.length;
  });
  await speakUp(pool, options.now);
  return moved;
}

/** A device that must be enrolled again is spoken of this early, however short the settings make renewal. */
const IMPOSSIBLE_DAYS = 60;

/** The device's last enrolment. Profiles that we cannot make anew are never sent: such a renewal only says that and why. */
const ENROLMENT = `select id, fleet.renewable(d.id) as renewable from fleet.enrolment
  where device_id = d.id and used_at is not null order by used_at desc limit 1`;

async function findDue(pool: Pool, { days, now }: RenewalOptions): Promise<void> {
  await pool.query(
    `insert into fleet.renewal as r (device_id, state, next_at, started_at, reason)
     select d.id, 'due', case when o.why is null then ${AT('$1')} else 'infinity' end, ${AT('$1')}, o.why from fleet.device d
     cross join lateral (select fleet.renewal_obstacle(d.id) as why) o
     where d.state = 'enrolled' and d.certificate_sha256 is not null
       and ${END} < ${AT('$1')} + interval '1 day'
         * case when o.why is null then $2::integer else greatest($2::integer, $3::integer) end
       and ${END} < ${AT('$1')} + greatest($2::integer, $3::integer) * interval '1 day'
       and not exists (select from fleet.renewal o where o.device_id = d.id and o.state in ('due', 'sent', 'issued'))
     order by d.certificate_not_after limit 500
     on conflict (device_id) do update set state = 'due', next_at = excluded.next_at, started_at = excluded.started_at,
       attempts = 0, command_uuid = null, reason = excluded.reason, asked_by = null, alarmed = null, finished_at = null
     where r.state in ('done', 'stopped')`,
    [now, days, IMPOSSIBLE_DAYS],
  );
}

async function step(t: Tx, row: Row, options: RenewalOptions): Promise<void> {
  const { now } = options;
  const decision = decide({
    ...{ state: row.state, nextAt: row.next_at, attempts: row.attempts, command: row.command, now },
    ...{ enrolled: row.enrolled && row.enrolment !== null, notAfter: row.not_after },
  });
  switch (decision.act) {
    case 'attempt':
      return attempt(t, row, options, decision.until);
    case 'fail':
      await takeBack(t, row);
      await t.query(
        `update fleet.renewal set state = 'due', next_at = ${AT('$2')}, reason = $3, challenge_sha256 = null where device_id = $1`,
        [row.device_id, decision.next, decision.reason],
      );
      await emit(t, {
        ...{ kind: 'device.renewal_failed', actor: 'core', device: row.handle },
        detail: { attempt: row.attempts, reason: decision.reason },
      });
      return;
    case 'stop':
      await takeBack(t, row);
      await t.query(
        `update fleet.renewal set state = 'stopped', challenge_sha256 = null, finished_at = ${AT('$2')} where device_id = $1`,
        [row.device_id, now],
      );
      return;
    default:
  }
}

/** Cancels the attempt's command where the device has not answered it. */
async function takeBack(t: Tx, { command_uuid: uuid, handle }: Row): Promise<void> {
  if (uuid === null) return;
  const { rowCount } = await t.query(
    `update fleet.command set state = 'cancelled', done_at = now() where uuid = $1 and done_at is null`,
    [uuid],
  );
  if (rowCount) {
    const detail = { command: uuid, verb: 'InstallProfile', why: 'renewal' };
    await emit(t, { kind: 'command.cancelled', actor: 'core', device: handle, detail });
  }
}

async function attempt(t: Tx, row: Row, options: RenewalOptions, until: number): Promise<void> {
  await takeBack(t, row);
  const challenge = newToken();
  const { payload, identity } = await profileAnew(t, { ...row, enrolment: row.enrolment! }, options, challenge);
  const uuid = uuidv7();
  const verb = 'InstallProfile' as const;
  const body = buildCommand(uuid, { verb, payload });
  const delivery = { device: row.handle, uuid, verb, body: toBase64url(sha256(body)) };
  await t.query(
    'insert into fleet.command (uuid, device_id, request_type, body, signature) values ($1, $2, $3, $4, $5)',
    [uuid, row.device_id, verb, body, Buffer.from(fromBase64url(signDelivery(options.signKey, delivery)))],
  );
  await t.query(
    `update fleet.renewal set state = 'sent', next_at = ${AT('$2')}, attempts = attempts + 1, command_uuid = $3,
       challenge_sha256 = $4, identity = $5 where device_id = $1`,
    [row.device_id, until, uuid, sha256(challenge), identity],
  );
  await t.query('select fleet.want_push(array[$1::bigint])', [row.device_id]);
  await emit(t, {
    ...{ kind: 'device.renewal_sent', actor: 'core', device: row.handle },
    detail: { attempt: row.attempts + 1, command: uuid, identity },
  });
}

/** One alarm a threshold for each device whose certificate is still the old one; where only enrolling again helps, that is said first. */
async function speakUp(pool: Pool, now: number): Promise<void> {
  await tx(pool, async (t) => {
    const { rows } = await t.query<{
      device_id: number;
      handle: string;
      not_after: number;
      alarmed: number | null;
      obstacle: string | null;
    }>(
      `select r.device_id, d.handle, ${MS(END)} as not_after, r.alarmed,
         case when r.next_at = 'infinity' then r.reason end as obstacle
       from fleet.renewal r join fleet.device d on d.id = r.device_id
       where r.state in ('due', 'sent', 'issued') and d.state = 'enrolled'
         and ${END} <= ${AT('$1')} + interval '1 day' *
           (select max(x) from unnest(array[60, 30, 14, 7, 3, 1, 0]) x where x < coalesce(r.alarmed, 61))
       limit 500 for update of r skip locked`,
      [now],
    );
    for (const row of rows) {
      const days = renewalAlarm(row.not_after, now);
      if (days === undefined || (row.alarmed !== null && days >= row.alarmed)) continue;
      await t.query('update fleet.renewal set alarmed = $2 where device_id = $1', [row.device_id, days]);
      await emit(t, {
        ...{ kind: 'device.certificate_expiring', actor: 'core', device: row.handle },
        detail: { days, urgent: days <= 14 },
      });
      if (row.obstacle === null || row.alarmed !== null) continue;
      await emit(t, {
        ...{ kind: 'device.renewal_impossible', actor: 'core', device: row.handle },
        detail: { days, why: row.obstacle, next: 'enrol-again' },
      });
    }
  });
}
