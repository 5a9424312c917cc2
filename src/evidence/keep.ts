import type { Queryable } from '#store';
import type { EvidenceFolder } from './folder.ts';
import { logId } from './shown.ts';

/** Drops what need not be kept, rows and then files. Returns how many folders went. */
export async function pruneEvidence(db: Queryable, folder: EvidenceFolder, key: string): Promise<number> {
  await db.query('select evidence.prune()');
  const { rows } = await db.query<{ size: number }>('select size from evidence.checkpoint where log = $1', [
    logId(key),
  ]);
  return folder.keepOnly(logId(key), new Set(rows.map(({ size }) => Number(size))));
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
