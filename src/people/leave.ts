import type { Queryable } from '#store';

/**
 * Deletes the rows of people whose locks the ledger has destroyed, and the people; their handles stay as tombstones. `entry`
 * is the ledger's. Done again, it does nothing.
 */
export async function erasePeople(db: Queryable, handles: readonly string[], entry: string): Promise<void> {
  await db.query('select people.erase($1, $2)', [[...handles], entry]);
}

/** The ledger's entry that erased somebody, and when their rows went; undefined for anybody who is here or never was. */
export async function tombstoneOf(db: Queryable, handle: string): Promise<{ entry: string; leftAt: Date } | undefined> {
  const { rows } = await db.query<{ entry: string; leftAt: Date }>(
    'select entry, left_at as "leftAt" from people.tombstone where handle = $1',
    [handle],
  );
  return rows[0];
}
