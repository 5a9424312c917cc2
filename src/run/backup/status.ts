import type { Queryable } from '#store';

export interface BackupStatus {
  readonly recovery: string | null;
  readonly fingerprint: string | null;
  /** False if two sets would share a place; null before anybody looked. */
  readonly apart: boolean | null;
  /** True if two directories lie on one file system. */
  readonly oneDisk: boolean | null;
  readonly sets: readonly {
    readonly set: string;
    readonly place: string;
    readonly everyHours: number;
    readonly keepDays: number;
    readonly alarmHours: number;
    readonly kept: number;
    readonly oldestAt: Date | null;
    readonly lastAt: Date | null;
    readonly bytes: number | null;
    /** Code of the last try, if it failed. */
    readonly failed: string | null;
  }[];
}

/** What is known of backups and rehearsals. */
export async function readStatus(db: Queryable): Promise<BackupStatus> {
  const posture = await db.query<{ recovery: string; fingerprint: string | null; apart: boolean; one_disk: boolean }>(
    'select recovery, fingerprint, apart, one_disk from backup.posture',
  );
  const sets = await db.query<BackupStatus['sets'][number]>(
    `select p.set, p.place, p.every_hours as "everyHours", p.keep_days as "keepDays", p.alarm_hours as "alarmHours", p.kept,
       p.oldest_at as "oldestAt", d.begun_at as "lastAt", d.bytes, case when l.state = 'failed' then l.code end as failed
     from backup.plan p
     left join lateral (select begun_at, bytes from backup.run r where r.set = p.set and r.state = 'done'
       order by begun_at desc limit 1) d on true
     left join lateral (select state, code from backup.run r where r.set = p.set order by begun_at desc limit 1) l on true
     order by p.set`,
  );
  const seen = posture.rows[0];
  return {
    recovery: seen?.recovery ?? null,
    fingerprint: seen?.fingerprint ?? null,
    apart: seen?.apart ?? null,
    oneDisk: seen?.one_disk ?? null,
    sets: sets.rows,
  };
}

const hours = (at: Date, now: number): string => `${((now - at.getTime()) / 3_600_000).toFixed(1)} h`;

/** The same in words. */
export function statusLines(status: BackupStatus, now: number): string[] {
  if (status.apart === null) return ['No backup was ever made: bartizan backup target, then bartizan backup run.'];
  return [
    `recovery key ${status.recovery}; fingerprint for your paper: ${status.fingerprint ?? 'after each set was written once'}`,
    status.apart ? 'places: apart' : 'places: NOT APART, nothing is written',
    ...(status.oneDisk ? ['two of the places lie on one file system: one stolen disk is two sets'] : []),
    ...status.sets.map(
      ({ set, lastAt, alarmHours, kept, failed }) =>
        `${set}: ${lastAt === null ? 'never' : `${hours(lastAt, now)} old`} (alarm after ${alarmHours} h), ${kept} kept${failed === null ? '' : `, LAST TRY FAILED: ${failed}`}`,
    ),
  ];
}
