import { openPool } from '#store';
import { until } from '../stage.ts';
import type { Product } from '../supervisor.ts';

export interface Afterwards {
  readonly alertMs: number | null;
  readonly containedMs: number | null;
  /** Scopes that are locked, `directory`, `commands` or `admin:<handle>`. */
  readonly locked: readonly string[];
}

/** Waits at most 15 s for the first alert of these rules and, if `answered`, for what it set off; read beside the product. */
export async function afterwards(
  product: Product,
  since: number,
  rules: readonly string[],
  answered = true,
): Promise<Afterwards> {
  const pool = openPool(product.admin, { max: 1 });
  const read = async () => {
    const { rows } = await pool.query<{ alert: number; contained: number | null; open: number }>(
      `select (extract(epoch from a.created_at) * 1000)::float8 as alert,
         (select max(extract(epoch from x.done_at) * 1000)::float8 from respond.action x where x.alert_id = a.id) as contained,
         (select count(*)::int from respond.action x where x.alert_id = a.id and x.state = 'started') as open
       from watch.alert a where a.rule = any($1) and a.created_at >= $2 order by a.created_at limit 1`,
      [rules, new Date(since)],
    );
    return rows[0];
  };
  try {
    await until(
      async () => {
        const seen = await read();
        return seen !== undefined && (!answered || seen.contained !== null);
      },
      15_000,
      100,
    );
    const found = await read();
    // Locks reach the database from the guards' entries, a moment after they are in force.
    const locked = async () =>
      Number((await pool.query('select from respond.lock where lifted_at is null')).rowCount) > 0;
    if (answered) await until(locked, 3_000, 100);
    const locks = await pool.query<{ what: string }>(
      `select scope || case when target = '' then '' else ':' || target end as what from respond.lock where lifted_at is null`,
    );
    return {
      alertMs: found === undefined ? null : Math.round(found.alert - since),
      containedMs: found?.contained == null ? null : Math.round(found.contained - since),
      locked: locks.rows.map(({ what }) => what),
    };
  } finally {
    await pool.end();
  }
}
