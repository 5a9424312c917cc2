import { sha256 } from '#base';
import { emit } from '#log';
import { type Pool, tx } from '#store';
import { type CrlReason, makeCrl } from '#wire';
import type { DeviceCa } from './ca.ts';

const HOUR = 3_600_000;
/** How long a list counts; it is signed anew after half of that, and at once when something was revoked. */
const VALID_MS = 48 * HOUR;

/**
 * Signs a list of revoked certificates if there is none, if something was revoked since, or if half of its time is over.
 * Returns 1 if it did. Certificates that have ended by themselves are left out (RFC 5280, section 3.3).
 */
export async function publishCrl(pool: Pool, ca: DeviceCa, now: number): Promise<number> {
  return tx(pool, async (t) => {
    // One signer at a time, so that numbers only grow.
    await t.query(`select pg_advisory_xact_lock(hashtext('bartizan crl'))`);
    const { rows } = await t.query<{ serial: Buffer; revoked_at: number; reason: CrlReason }>(
      `select serial, extract(epoch from revoked_at)::double precision * 1000 as revoked_at, reason from fleet.certificate
       where revoked_at is not null and serial is not null and not_after > to_timestamp($1::double precision / 1000)
       order by revoked_at, serial`,
      [now],
    );
    const content = sha256(...rows.flatMap((row) => [row.serial, row.reason]));
    const { rows: last } = await t.query<{ number: number; same: boolean; this_update: number }>(
      `select number, content_sha256 = $1 as same, extract(epoch from this_update)::double precision * 1000 as this_update
       from fleet.crl`,
      [content],
    );
    if (last[0]?.same === true && now < last[0].this_update + VALID_MS / 2) return 0;
    const number = (last[0]?.number ?? 0) + 1;
    const revoked = rows.map((row) => ({ serial: row.serial, revokedAt: row.revoked_at, reason: row.reason }));
    const nextUpdate = now + VALID_MS;
    const der = await makeCrl(ca, { number, thisUpdate: now, nextUpdate, revoked });
    await t.query(
      `insert into fleet.crl (number, der, content_sha256, entries, this_update, next_update)
       values ($1, $2, $3, $4, to_timestamp($5::double precision / 1000), to_timestamp($6::double precision / 1000))
       on conflict (one) do update set number = $1, der = $2, content_sha256 = $3, entries = $4,
         this_update = excluded.this_update, next_update = excluded.next_update`,
      [number, der, content, revoked.length, now, nextUpdate],
    );
    await t.query(
      'update fleet.certificate set crl_number = $1 where crl_number is null and revoked_at is not null and serial = any($2)',
      [number, rows.map((row) => row.serial)],
    );
    await emit(t, { kind: 'ca.crl', actor: 'core', detail: { number, entries: revoked.length } });
    return 1;
  });
}
