import { uuidv7 } from '#base';
import type { Queryable } from '#store';
import { WatchError } from './error.ts';

/** A channel as screens show it; where it leads stays with courier. */
export interface AlarmRow {
  readonly name: string;
  readonly kind: string;
  readonly least: string;
  readonly afterMinutes: number | null;
  readonly sentAt: Date | null;
  readonly failingSince: Date | null;
  readonly code: string | null;
  readonly waiting: number;
}

/** Channels in use, by name. */
export async function listChannels(db: Queryable): Promise<AlarmRow[]> {
  const { rows } = await db.query<AlarmRow>(
    `select c.name, c.kind, c.least, c.after_minutes as "afterMinutes", c.sent_at as "sentAt", c.failing_since as "failingSince", c.code,
       (select count(*)::int from alarm.delivery d where d.channel = c.name and d.state = 'waiting') as waiting
     from alarm.channel c where c.active order by c.name`,
  );
  return rows;
}

export interface SilenceRow {
  readonly id: string;
  readonly rule: string;
  readonly until: Date;
  readonly why: string;
  readonly by: string;
  readonly held: number;
}

/** Silences that are in force, the one that ends first on top. */
export async function listSilences(db: Queryable): Promise<SilenceRow[]> {
  const { rows } = await db.query<SilenceRow>(
    `select s.id, s.rule, s.until, s.why, s.by_admin as by,
       (select count(*)::int from alarm.held h where h.silence_id = s.id) as held
     from alarm.silence s where s.ended_at is null and s.until > now() order by s.until`,
  );
  return rows;
}

/** Sends alerts of a rule to nobody for so many minutes (5 to 10 080); critical ones are sent all the same. */
export async function silenceRule(
  db: Queryable,
  input: { readonly rule: string; readonly minutes: number; readonly why: string; readonly by: string },
): Promise<string> {
  const id = uuidv7();
  await db.query('select alarm.silence_rule($1, $2, $3, $4, $5)', [id, input.rule, input.minutes, input.why, input.by]);
  return id;
}

/** Throws WatchError `unknown-silence`. */
export async function endSilence(db: Queryable, id: string, by: string): Promise<void> {
  const { rows } = await db.query<{ ended: boolean }>('select alarm.end_silence($1, $2) as ended', [id, by]);
  if (!rows[0]!.ended)
    throw new WatchError('unknown-silence', 'There is no such silence, or it is over.', { status: 404 });
}

/** A word to every channel; how many. */
export async function testChannels(db: Queryable, by: string): Promise<number> {
  const { rows } = await db.query<{ n: number }>('select alarm.test($1) as n', [by]);
  return rows[0]!.n;
}
