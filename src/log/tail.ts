import { fromBase64url, type Json } from '#base';
import type { GuardClient } from '#seal';
import { type Pool, tx } from '#store';
import { GUARD_SOURCE } from './number.ts';

interface GuardEntry {
  readonly leaf: number;
  readonly uid: string;
  readonly time: number;
  readonly kind: string;
  readonly actor: string | null;
  readonly subject?: string;
  readonly salt: string;
  readonly body: { readonly [key: string]: Json };
}

/**
 * Copies the guards' own entries into the event table, so that watch sees what the guards did even if everybody else
 * lies. Waits up to `waitMs` for news. The cursor moves in the same transaction: a crash repeats nothing. Returns how
 * many entries were copied.
 */
export async function tailGuards(pool: Pool, ledger: GuardClient, waitMs = 1_000): Promise<number> {
  const { rows } = await pool.query<{ guard_tail: number }>('select guard_tail from log.counter');
  const after = rows[0]!.guard_tail;
  const { entries, next } = await ledger.call<{ entries: readonly GuardEntry[]; next?: number }>(
    'tail',
    { after, waitMs },
    { timeoutMs: waitMs + 5_000 },
  );
  const cursor = entries.length > 0 ? entries.at(-1)!.leaf + 1 : (next ?? after);
  if (entries.length === 0 && cursor === after) return 0;
  return tx(pool, async (t) => {
    const moved = await t.query('update log.counter set guard_tail = $1 where guard_tail = $2', [cursor, after]);
    if (moved.rowCount === 0) return 0;
    for (const entry of entries) {
      await t.query('select log.copy_guard_entry($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
        entry.uid,
        new Date(entry.time),
        entry.kind,
        entry.actor,
        entry.subject ?? null,
        JSON.stringify(entry.body),
        Buffer.from(fromBase64url(entry.salt)),
        entry.leaf,
        GUARD_SOURCE,
      ]);
    }
    return entries.length;
  });
}
