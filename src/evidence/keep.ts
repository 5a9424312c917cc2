import type { Queryable } from '#store';
import { type EvidenceFolder, stampName } from './folder.ts';
import { logId } from './shown.ts';

/** Drops what need not be kept, rows and then files. Returns how many folders went. */
export async function pruneEvidence(db: Queryable, folder: EvidenceFolder, key: string): Promise<number> {
  await db.query('select evidence.prune()');
  const { rows } = await db.query<{ size: number }>('select size from evidence.checkpoint where log = $1', [
    logId(key),
  ]);
  return folder.keepOnly(logId(key), new Set(rows.map(({ size }) => size)));
}

/** Writes the files of rows that have none: after a restore of the database on another machine, or if somebody removed them. */
export async function remakeFiles(db: Queryable, folder: EvidenceFolder, key: string): Promise<number> {
  const log = logId(key);
  const { rows } = await db.query<{ size: number; note: string; lines: string[] }>(
    `select c.size, c.note, array_remove(array_agg(s.line order by s.witness, s.key), null) as lines
     from evidence.checkpoint c left join evidence.cosignature s using (log, size) where c.log = $1 group by c.size, c.note`,
    [log],
  );
  let made = 0;
  for (const { size, note, lines } of rows) {
    if (folder.has(log, size, 'checkpoint')) continue;
    const stamps = await db.query<{ id: string; reason: string; reply: Buffer }>(
      'select id, reason, reply from evidence.stamp where log = $1 and size = $2 and reply is not null',
      [log, size],
    );
    for (const { id, reason, reply } of stamps.rows) await folder.put(log, size, stampName(reason, id), reply);
    if (lines.length > 0) await folder.put(log, size, 'cosigned', Buffer.from(note + lines.join('')));
    // Last: where it is, the others are.
    await folder.put(log, size, 'checkpoint', Buffer.from(note));
    made += 1;
  }
  return made;
}

export interface EvidenceState {
  readonly witnesses: readonly {
    readonly name: string;
    readonly size: number;
    readonly signedAt: Date | null;
    readonly failures: number;
    readonly code: string | null;
  }[];
  readonly stamps: { readonly waiting: number; readonly newest: Date | null; readonly size: number | null };
}

/** Who cosigned up to where, and what was stamped. */
export async function evidenceState(db: Queryable): Promise<EvidenceState> {
  const witnesses = await db.query<EvidenceState['witnesses'][number]>(
    'select name, size, signed_at as "signedAt", failures, code from evidence.witness where active order by name',
  );
  const stamps = await db.query<EvidenceState['stamps']>(
    `select (count(*) filter (where reply is null))::int as waiting, max(stamped_at) as newest,
       max(size) filter (where reply is not null) as size from evidence.stamp`,
  );
  return { witnesses: witnesses.rows, stamps: stamps.rows[0]! };
}
