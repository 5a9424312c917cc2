import { emit } from '#log';
import { type Pool, tx } from '#store';
import { askAuthority } from './ask-authority.ts';
import { EvidenceError } from './error.ts';
import { stampName } from './folder.ts';
import { askLedger, keepCheckpoint, logId } from './shown.ts';
import type { EvidenceOptions } from './witnesses.ts';

const LAST_BACKOFF_MS = 10 * 60_000;
const MOST_EVENTS = 500;

/**
 * Asks for what is to be stamped: the newest checkpoint every so often, and one that covers the event whenever an incident
 * opens or closes. While no authority answers, the regular one waits in one row, of the newest; those of incidents all wait.
 * Returns how many were stamped.
 */
export async function stampCheckpoints(options: EvidenceOptions): Promise<number> {
  const { authorities, stampMinutes } = options.settings.now();
  if (authorities.length === 0) return 0;
  await askForIncidents(options);
  await askRegularly(options, stampMinutes * 60_000);
  return stampWaiting(options);
}

/** Incidents since the last look, up to the first event that the ledger does not have yet. */
async function askForIncidents(options: EvidenceOptions): Promise<void> {
  const { pool, ledger, key, folder, now } = options;
  const { rows } = await pool.query<{ position: number; reason: string | null; incident: string; leaf: number | null }>(
    `select position, leaf, body #>> '{unmapped,incident}' as incident,
       case when kind = 'incident.opened' then 'incident-opened'
         when kind = 'incident.updated' and body #>> '{unmapped,what}' = 'closed' then 'incident-closed' end as reason
     from log.event where position > (select position from evidence.state) order by position limit ${MOST_EVENTS}`,
  );
  const found: typeof rows = [];
  let position: number | undefined;
  for (const row of rows) {
    if (row.reason !== null && row.leaf === null) break;
    if (row.reason !== null) found.push(row);
    position = row.position;
  }
  if (position === undefined) return;
  const shown = found.length === 0 ? undefined : await askLedger(pool, ledger, key, 0);
  if (shown !== undefined) await keepCheckpoint(pool, folder, logId(key), shown);
  await tx(pool, async (t) => {
    for (const { reason, incident } of found)
      await t.query(
        'insert into evidence.stamp (log, size, reason, incident, asked_at, next_at) values ($1, $2, $3, $4, $5, $5)',
        [logId(key), shown!.size, reason, incident, new Date(now())],
      );
    await t.query('update evidence.state set position = $1 where position < $1', [position]);
  });
}

async function askRegularly(options: EvidenceOptions, everyMs: number): Promise<void> {
  const { pool, ledger, key, folder, now } = options;
  const log = logId(key);
  const { rows } = await pool.query<{ id: string; asked_at: Date; size: number; waits: boolean }>(
    `select id, asked_at, size, reply is null as waits from evidence.stamp where log = $1 and reason = 'regular'
     order by asked_at desc limit 1`,
    [log],
  );
  const last = rows[0];
  if (last !== undefined && now() - last.asked_at.getTime() < everyMs) return;
  const shown = await askLedger(pool, ledger, key, 0);
  if (last?.size === shown.size) return;
  await keepCheckpoint(pool, folder, log, shown);
  const at = new Date(now());
  if (last?.waits)
    await pool.query('update evidence.stamp set size = $2, asked_at = $3 where id = $1', [last.id, shown.size, at]);
  else
    await pool.query(
      "insert into evidence.stamp (log, size, reason, asked_at, next_at) values ($1, $2, 'regular', $3, $3)",
      [log, shown.size, at],
    );
}

async function stampWaiting(options: EvidenceOptions): Promise<number> {
  const { pool, folder, now } = options;
  const { rows } = await pool.query<{
    id: string;
    log: string;
    size: number;
    reason: string;
    tries: number;
    note: string;
  }>(
    `select s.id, s.log, s.size, s.reason, s.tries, c.note from evidence.stamp s join evidence.checkpoint c using (log, size)
     where s.reply is null and s.next_at <= $1 order by s.asked_at limit 4`,
    [new Date(now())],
  );
  let done = 0;
  for (const { id, log, size, reason, tries, note } of rows) {
    const got = await anyAuthority(options, Buffer.from(note));
    if ('code' in got) {
      const pause = Math.min(LAST_BACKOFF_MS, 5_000 * 2 ** Math.min(tries, 10));
      await pool.query('update evidence.stamp set tries = tries + 1, code = $2, next_at = $3 where id = $1', [
        ...[id, got.code, new Date(now() + pause)],
      ]);
      continue;
    }
    // The file first: a crash in between asks again, and the second stamp takes the first one's place.
    await folder.put(log, size, stampName(reason, id), got.reply);
    await pool.query(
      'update evidence.stamp set reply = $2, authority = $3, stamped_at = $4, tries = tries + 1, code = null where id = $1',
      [id, got.reply, got.authority, new Date(got.time)],
    );
    done += 1;
  }
  return done;
}

async function anyAuthority({ settings }: EvidenceOptions, bytes: Buffer) {
  let code = 'unreachable';
  for (const authority of settings.now().authorities) {
    try {
      return { authority: authority.name, ...(await askAuthority(authority, bytes)) };
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      code = error.code;
    }
  }
  return { code };
}

/** Tells once a day of witnesses that have not cosigned, and of time stamps that wait, for too long. Returns how many. */
export async function tellSilence({
  pool,
  settings,
  now,
}: Pick<EvidenceOptions, 'pool' | 'settings' | 'now'>): Promise<number> {
  const { alarmMinutes, authorities } = settings.now();
  const at = new Date(now());
  const since = new Date(now() - alarmMinutes * 60_000);
  const day = new Date(now() - 86_400_000);
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ name: string; minutes: number; code: string | null }>(
      `update evidence.witness set alarmed_at = $1
       where active and coalesce(signed_at, since) < $2 and (alarmed_at is null or alarmed_at < $3)
       returning name, code, floor(extract(epoch from $1::timestamptz - coalesce(signed_at, since)) / 60)::int as minutes`,
      [at, since, day],
    );
    for (const { name, minutes, code } of rows)
      await emit(t, {
        kind: 'witness.silent',
        actor: 'core',
        detail: { witness: name, minutes, code: code ?? 'never-asked' },
      });
    const stamps = await stampsWait(t, at, since, day);
    if (authorities.length > 0 && stamps > 0)
      await emit(t, { kind: 'timestamp.silent', actor: 'core', detail: { waiting: stamps } });
    return rows.length + Math.min(1, stamps);
  });
}

async function stampsWait(t: Pick<Pool, 'query'>, at: Date, since: Date, day: Date): Promise<number> {
  const { rows } = await t.query<{ waiting: number }>(
    `update evidence.state set alarmed_at = $1 from (
       select count(*)::int as waiting from evidence.stamp where reply is null and asked_at < $2 or reply is null and tries > 8
     ) s where s.waiting > 0 and (alarmed_at is null or alarmed_at < $3) returning s.waiting`,
    [at, since, day],
  );
  return rows[0]?.waiting ?? 0;
}
