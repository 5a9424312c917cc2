import type { Json } from '#base';
import type { Queryable } from '#store';
import { getRetirement, type Retirement } from './list.ts';

interface EvidenceEvent {
  readonly time: Date;
  readonly uid: string;
  readonly kind: string;
  readonly actor: string | null;
  readonly leaf: number | null;
  readonly detail: Json;
}

/** What is known of a device's leaving, for somebody who was not there. */
export interface RetireEvidence {
  readonly retirement: Retirement;
  readonly cause: string;
  readonly certificate: string | null;
  /** Its revoked certificates, and the number of the list that first named each. */
  readonly revoked: readonly {
    /** Hexadecimal; null for one of another authority, which our list does not name. */
    readonly serial: string | null;
    readonly revokedAt: Date;
    readonly reason: string;
    /** Null: on no list yet. */
    readonly listed: number | null;
  }[];
  /** The list of revoked certificates that is handed out now. */
  readonly list: { readonly number: number; readonly thisUpdate: Date } | null;
  readonly erased: Json | null;
  readonly commands: readonly {
    readonly uuid: string;
    readonly verb: string;
    readonly state: string;
    readonly queuedAt: Date;
    readonly deliveredAt: Date | null;
    readonly doneAt: Date | null;
    readonly errors: Json | null;
  }[];
  /** Oldest first, each with its leaf in the transparency log (null: not in it yet). */
  readonly events: readonly EvidenceEvent[];
  readonly caveats: readonly string[];
}

const KINDS = `'{retire.requested,retire.step,device.retired,device.checked_out,command.queued,command.delivered,command.result,command.cancelled}'::text[]`;

/** The evidence record of a retirement. Throws `unknown-retirement`. */
export async function retireEvidence(db: Queryable, id: string): Promise<RetireEvidence> {
  const { retirement, cause } = await getRetirement(db, id);
  const extra = await db.query<{ certificate: string | null; erased: Json | null }>(
    `select encode(certificate_sha256, 'hex') as certificate, erased from fleet.retirement where id = $1`,
    [id],
  );
  const list = await db.query<NonNullable<RetireEvidence['list']>>(
    `select number, this_update as "thisUpdate" from fleet.crl`,
  );
  const revoked = await db.query<RetireEvidence['revoked'][number]>(
    `select encode(c.serial, 'hex') as serial, c.revoked_at as "revokedAt", c.reason, c.crl_number as listed
     from fleet.certificate c join fleet.device d on d.id = c.device_id
     where d.handle = $1 and c.revoked_at is not null order by c.revoked_at, c.serial`,
    [retirement.device],
  );
  const commands = await db.query<RetireEvidence['commands'][number]>(
    `select c.uuid, c.request_type as verb, c.state, c.queued_at as "queuedAt", c.delivered_at as "deliveredAt",
       case when isfinite(c.done_at) then c.done_at end as "doneAt", c.errors
     from fleet.command c join fleet.device d on d.id = c.device_id
     where d.handle = $1 and (c.uuid = $2 or c.done_at >= $3) order by c.queued_at limit 200`,
    [retirement.device, retirement.command, retirement.requestedAt],
  );
  const own = await db.query<EvidenceEvent>(
    `select time, uid, kind, actor, leaf, body->'unmapped' as detail from log.event
     where device = $1 and kind = any(${KINDS}) and time >= $2::timestamptz - interval '1 second'
       and time <= coalesce($3::timestamptz, now()) + interval '1 minute' order by seq limit 1000`,
    [retirement.device, retirement.requestedAt, retirement.endedAt],
  );
  // What two people signed names the approval, not the device; it lies between the wish and the sending.
  const signed =
    retirement.approval === null
      ? { rows: [] }
      : await db.query<EvidenceEvent>(
          `select time, uid, kind, actor, leaf, body->'unmapped' as detail from log.event
           where kind in ('approval.requested', 'approval.signed', 'approval.refused', 'command.permitted')
             and body->'unmapped'->>'approval' = $1 and time >= $2::timestamptz - interval '1 second'
             and time <= $2::timestamptz + interval '25 hours' order by seq limit 50`,
          [retirement.approval, retirement.requestedAt],
        );
  const events = [...own.rows, ...signed.rows].sort((a, b) => a.time.getTime() - b.time.getTime());
  return {
    ...{ retirement, cause, commands: commands.rows, events, ...extra.rows[0]! },
    ...{ revoked: revoked.rows, list: list.rows[0] ?? null },
    caveats: caveatsOf(retirement, events),
  };
}

function caveatsOf(retirement: Retirement, events: readonly EvidenceEvent[]): string[] {
  const out: string[] = [];
  if (retirement.confirmedBy === 'nobody') out.push('The device confirmed nothing. What was on it may still be on it.');
  if (retirement.confirmedBy === 'check-out')
    out.push(
      'The device said that it left; that everything managed was removed is Apple’s promise, not a measurement.',
    );
  if (retirement.state === 'forgotten')
    out.push(
      'Sealed values of the device (its name, tokens) were deleted here; backups made before still hold their ciphertext.',
    );
  if (events.some(({ leaf }) => leaf === null))
    out.push('Some events are not in the transparency log yet. Fetch this record again.');
  return out;
}

const at = (date: Date | null) => (date === null ? '–' : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`);

/** The same record to read and to file. */
export function evidenceMarkdown({
  retirement: r,
  cause,
  certificate,
  revoked,
  list,
  erased,
  commands,
  events,
  caveats,
}: RetireEvidence): string {
  return [
    `# Retirement of ${r.device}`,
    '',
    `Way: ${r.way}. State: ${r.state}; ${cause}.`,
    '',
    `| step | time |`,
    `| --- | --- |`,
    `| asked for by ${r.requester} | ${at(r.requestedAt)} |`,
    `| confirmed (${r.confirmedBy ?? 'not yet'}) | ${at(r.confirmedAt)} |`,
    `| certificate revoked | ${at(r.revokedAt)} |`,
    `| forgotten | ${at(r.forgottenAt)} |`,
    '',
    `Record ${r.id}; command ${r.command ?? 'none'}; certificate SHA-256 ${certificate ?? 'none'}.`,
    '',
    '## Certificates',
    '',
    list === null
      ? 'No list of revoked certificates was signed yet.'
      : `List of revoked certificates number ${list.number}, signed ${at(list.thisUpdate)}.`,
    '',
    '| serial | revoked | reason | first on list |',
    '| --- | --- | --- | --- |',
    ...revoked.map(
      (c) => `| ${c.serial ?? 'another authority’s'} | ${at(c.revokedAt)} | ${c.reason} | ${c.listed ?? 'none yet'} |`,
    ),
    '',
    '## Commands',
    '',
    '| command | what | state | queued | fetched | done |',
    '| --- | --- | --- | --- | --- | --- |',
    ...commands.map(
      (c) => `| ${c.uuid} | ${c.verb} | ${c.state} | ${at(c.queuedAt)} | ${at(c.deliveredAt)} | ${at(c.doneAt)} |`,
    ),
    '',
    '## Erased here',
    '',
    ...(erased === null
      ? ['Nothing yet.']
      : Object.entries(erased as Record<string, Json>).map(([table, n]) => `- ${table}: ${n} rows`)),
    '',
    '## Log entries',
    '',
    '| leaf | time | event | by |',
    '| --- | --- | --- | --- |',
    ...events.map((e) => `| ${e.leaf ?? 'not yet'} | ${at(e.time)} | ${e.kind} | ${e.actor ?? ''} |`),
    '',
    '## What this does not show',
    '',
    ...(caveats.length === 0 ? ['Nothing known.'] : caveats.map((one) => `- ${one}`)),
    '',
  ].join('\n');
}
