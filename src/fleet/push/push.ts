import { emit } from '#log';
import { type Pool, type Tx, tx } from '#store';
import type { PushOutcome } from '#wire';
import { expiryAlarm } from './certificate.ts';
import type { PushClient } from './client.ts';

const BATCH = 500;
/** APNs keeps a push for a phone that is off this long; then we send another. */
const KEEP_S = 7 * 86_400;

interface Due {
  readonly device_id: number;
  readonly handle: string;
  readonly push_token: Buffer;
  readonly push_magic: string;
  readonly enrolled: boolean;
  readonly wanted_at: string;
  readonly attempts: number;
  readonly token_at: number | null;
}

/** Marks that these devices should check in, by their ids; those without a push token are left out. */
export async function wantPush(t: Tx, where: { readonly intent: string }): Promise<void> {
  await t.query(
    `select fleet.want_push(array(select device_id from fleet.command
       where done_at is null and (intent_id = $1 or fan_out_id = $1)))`,
    [where.intent],
  );
}

/** What came of one round. */
export interface PushRound {
  readonly sent: number;
  /** Why APNs does not take our pushes at all, if it does not. */
  readonly refused: string | undefined;
}

/**
 * Sends what is due, at most 500. A crash between sending and noting sends again after 30 s, which a phone does not
 * notice. If `refused` is set the caller must wait: more of the same would only be refused again.
 */
export async function sendPushes(pool: Pool, client: PushClient, now: () => number): Promise<PushRound> {
  const { rows } = await pool.query<Due>(
    `with due as (select device_id from fleet.push where state in ('due', 'retry') and next_at <= now()
       order by next_at limit $1 for update skip locked)
     update fleet.push p set attempts = p.attempts + 1, next_at = now() + interval '30 seconds'
     from due join fleet.device d on d.id = due.device_id
     where p.device_id = due.device_id
     returning p.device_id, d.handle, d.push_token, d.push_magic, d.state = 'enrolled' as enrolled, p.wanted_at::text,
       p.attempts, extract(epoch from d.token_at)::double precision * 1000 as token_at`,
    [BATCH],
  );
  const able = rows.filter((row) => row.enrolled && row.push_token !== null && row.push_magic !== null);
  const expiration = Math.floor(now() / 1000) + KEEP_S;
  const outcomes = await Promise.all(
    able.map(({ push_token: token, push_magic: magic }) => client.send({ token, magic, expiration })),
  );
  const refused = outcomes.find((outcome) => outcome.kind === 'refused');
  if (rows.length > 0) {
    await tx(pool, async (t) => {
      await note(t, able, outcomes);
      const gone = rows.filter((row) => !able.includes(row)).map((row) => row.device_id);
      if (gone.length > 0) {
        await t.query(`update fleet.push set state = 'invalid', reason = 'NoToken' where device_id = any($1)`, [gone]);
      }
      if (refused !== undefined) await refusedByApns(t, refused.reason);
    });
  }
  return { sent: outcomes.filter(({ kind }) => kind === 'sent').length, refused: refused?.reason };
}

async function note(t: Tx, due: readonly Due[], outcomes: readonly PushOutcome[]): Promise<void> {
  if (due.length === 0) return;
  const notes = due.map((row, index) => {
    const outcome = outcomes[index]!;
    // A token that was renewed after APNs gave the old one up is another token.
    const stale = outcome.kind === 'invalid' && outcome.since !== undefined && (row.token_at ?? 0) > outcome.since;
    const kind = stale ? 'retry' : outcome.kind;
    const asked = outcome.kind === 'retry' ? (outcome.after ?? 0) : 0;
    const wait = Math.max(asked, Math.min(3_600, 5 * 2 ** Math.min(row.attempts, 10))) * (1 + Math.random() / 4);
    return {
      device: row.device_id,
      wanted: row.wanted_at,
      state: kind === 'refused' ? 'retry' : kind,
      apns: outcome.kind === 'sent' ? outcome.apnsId : null,
      reason: outcome.kind === 'sent' ? null : outcome.reason,
      wait: Math.round(wait),
    };
  });
  // One that was wanted again meanwhile stays due.
  await t.query(
    `update fleet.push p set state = x.state, apns_id = coalesce(x.apns, p.apns_id), reason = x.reason,
       sent_at = case when x.state = 'sent' then now() else p.sent_at end,
       next_at = now() + x.wait * interval '1 second'
     from jsonb_to_recordset($1::jsonb) as x(device bigint, wanted text, state text, apns text, reason text, wait int)
     where p.device_id = x.device and p.wanted_at::text = x.wanted`,
    [JSON.stringify(notes)],
  );
  for (const [index, { state, reason }] of notes.entries()) {
    if (state !== 'invalid') continue;
    await emit(t, {
      kind: 'push.token_invalid',
      actor: 'core',
      device: due[index]!.handle,
      detail: { reason: reason! },
    });
  }
}

/** Says once an hour that APNs does not take our pushes. */
async function refusedByApns(t: Tx, reason: string): Promise<void> {
  const { rowCount } = await t.query(
    `update fleet.push_certificate set canary = $1, canary_at = now(), refused_at = now()
     where refused_at is null or refused_at < now() - interval '1 hour' or canary is distinct from $1 returning 1`,
    [reason],
  );
  if (rowCount) await emit(t, { kind: 'push.refused', actor: 'core', detail: { reason } });
}

/** Notes that the installed certificate cannot be used, and why; told once for each file. */
export async function refuseCertificate(
  pool: Pool,
  reason: string,
  known: { readonly topic: string; readonly sha256: Buffer; readonly notAfter: number } | undefined,
): Promise<void> {
  await tx(pool, async (t) => {
    const { rowCount } = await t.query(
      `insert into fleet.push_certificate as c (topic, sha256, not_after, canary, canary_at, refused_at)
       values ($1, $2, to_timestamp($3::double precision / 1000), $4, now(), now())
       on conflict (one) do update set topic = $1, sha256 = $2, not_after = excluded.not_after, canary = $4,
         canary_at = now(), refused_at = now(), alarmed = null
       where c.canary is distinct from $4 or c.sha256 is distinct from $2 returning 1`,
      [known?.topic ?? null, known?.sha256 ?? null, known?.notAfter ?? null, reason],
    );
    if (rowCount) await emit(t, { kind: 'push.refused', actor: 'core', detail: { reason } });
  });
}

/** Wakes devices again that were pushed hours ago and still have something to fetch. Returns how many. */
export async function pushAgain(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>('select fleet.push_again() as n');
  return rows[0]!.n;
}

/**
 * Notes which certificate is in use, tries it, and speaks up while it runs out. Call it at loading and then hourly.
 * Returns the canary's word.
 */
export async function watchCertificate(pool: Pool, client: PushClient, now: number): Promise<string> {
  const { certificate, topic } = client.certificate;
  const canary = await client.canary();
  const alarm = expiryAlarm(certificate.notAfter, now);
  await tx(pool, async (t) => {
    const { rows } = await t.query<{ alarmed: number | null; before: string | null; changed: boolean }>(
      `with old as (select * from fleet.push_certificate where one)
       insert into fleet.push_certificate as c (topic, sha256, not_after, canary, canary_at)
       values ($1, $2, to_timestamp($3::double precision / 1000), $4, now())
       on conflict (one) do update set topic = $1, sha256 = $2, not_after = excluded.not_after, canary = $4, canary_at = now(),
         loaded_at = case when c.sha256 = $2 then c.loaded_at else now() end,
         alarmed = case when c.sha256 = $2 then c.alarmed end
       returning (select alarmed from old where old.sha256 = $2) as alarmed, (select canary from old) as before,
         not exists (select from old where old.sha256 = $2) as changed`,
      [topic, certificate.sha256, certificate.notAfter, canary],
    );
    const { alarmed, before, changed } = rows[0]!;
    if (changed) await emit(t, { kind: 'push.certificate_loaded', actor: 'core', detail: { topic, canary } });
    if (canary !== 'accepted' && (changed || before !== canary)) {
      await emit(t, { kind: 'push.refused', actor: 'core', detail: { reason: canary } });
    }
    if (canary === 'accepted' && !changed && before !== canary) {
      await emit(t, { kind: 'push.accepted', actor: 'core', detail: { after: before } });
    }
    // What waited because APNs did not take it goes out at once, not after an hour's backoff.
    if (canary === 'accepted' && (changed || before !== canary)) {
      await t.query(`update fleet.push set next_at = now() where state = 'retry'`);
    }
    if (alarm !== undefined && (alarmed === null || alarm < alarmed)) {
      await t.query('update fleet.push_certificate set alarmed = $1', [alarm]);
      await emit(t, {
        kind: 'push.certificate_expiring',
        actor: 'core',
        detail: { days: alarm, urgent: alarm <= 14 },
      });
    }
  });
  return canary;
}
