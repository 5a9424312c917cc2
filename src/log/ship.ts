import { canonicalJson, type Json, sha256, toBase64url } from '#base';
import { type GuardClient, GuardError } from '#seal';
import type { Pool } from '#store';
import { emit } from './emit.ts';

/** Leaves sent in one call. */
export const SHIP_BATCH = 256;

/** Set once the ledger refused to continue our history; cleared by nothing but a new process after a person looked. */
export interface Shipping {
  forked: boolean;
}

/** The ledger knows another past than we do (`fork`), or less of it than it has confirmed (`gap`): one of us went back. */
const BROKEN = ['fork', 'gap'];

/**
 * Sends numbered events to the ledger as leaves and notes the indexes it gives them. Returns how many were accepted.
 * A crash after the ledger's append and before our update sends the same leaves again; the ledger recognises their
 * numbers and answers with the indexes it has. If it knows a number with other contents, our database went back in
 * time; if it lacks numbers that it confirmed, the log did: shipping stops for good and `log.trouble` says so.
 */
export async function shipLeaves(pool: Pool, ledger: GuardClient, state: Shipping): Promise<number> {
  if (state.forked) return 0;
  const { rows } = await pool.query<{
    seq: number;
    n: number;
    uid: string;
    ms: number;
    type_uid: number;
    actor: string | null;
    salt: Buffer;
    body: Json;
  }>(
    `select seq, n, uid, (body->>'time')::bigint as ms, type_uid, actor, salt, body from log.event
     where leaf is null and n is not null order by n limit $1`,
    [SHIP_BATCH],
  );
  if (rows.length === 0) return 0;
  const leaves = rows.map((row) => ({
    n: row.n,
    uid: row.uid,
    time: row.ms,
    type_uid: row.type_uid,
    actor: row.actor,
    digest: toBase64url(sha256(row.salt, canonicalJson(row.body))),
  }));
  let indexes: readonly number[];
  try {
    const answer = await ledger.call<{ leaves: readonly number[] }>('append', { from: rows[0]!.n, leaves });
    indexes = answer.leaves;
  } catch (error) {
    if (!(error instanceof GuardError) || !BROKEN.includes(error.code)) throw error;
    state.forked = true;
    await emit(pool, { kind: 'log.trouble', actor: 'core', detail: { what: error.code, n: rows[0]!.n } });
    return 0;
  }
  await pool.query(
    `update log.event e set leaf = x.leaf from unnest($1::bigint[], $2::bigint[]) as x(seq, leaf)
     where e.seq = x.seq and e.leaf is null`,
    [rows.map((row) => row.seq), indexes],
  );
  return rows.length;
}
