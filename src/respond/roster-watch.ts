import type { Clock } from '#base';
import { emit } from '#log';
import { credentialDigest, type RosterKey, type RosterView } from '#seal';
import { type Pool, tx } from '#store';
import type { Guards } from './guards.ts';

const DAY = 86_400_000;
/** A passkey that nobody touched for so long may be lost. */
const UNUSED = 90 * DAY;
const TOLD_AGAIN_DAYS = 30;
/** How often sealed keys are to be tried. */
const QUARTER = 92 * DAY;

/** Looks now and then whether passkeys are still used, sealed keys were tried, and both guards have one roster. */
export class RosterWatch {
  readonly #pool: Pool;
  readonly #guards: Guards;
  readonly #now: Clock;
  #parted = false;

  constructor(pool: Pool, guards: Guards, now: Clock) {
    this.#pool = pool;
    this.#guards = guards;
    this.#now = now;
  }

  /** Returns how many things it told. Throws GuardError while the ledger cannot be asked. */
  async look(): Promise<number> {
    const roster = await this.#guards.ledger.call<RosterView & { keys: readonly RosterKey[] }>('roster', {});
    return (await this.#heartbeats(roster)) + (await this.#drill(roster)) + (await this.#agreement(roster));
  }

  async #heartbeats({ keys, seen }: RosterView & { keys: readonly RosterKey[] }): Promise<number> {
    let told = 0;
    for (const key of keys) {
      const credential = credentialDigest(key.credential);
      const touched = seen[key.credential] ?? 0;
      told += await tx(this.#pool, async (t) => {
        const { rows } = await t.query<{ used: Date | null; told: boolean }>(
          `insert into respond.key_use as k (credential, admin, pinned_at, used_at)
           values ($1, $2, to_timestamp($3::double precision / 1000), greatest(to_timestamp(nullif($4::double precision, 0) / 1000),
             (select max(created_at) from api.session where credential = $1)))
           on conflict (credential) do update set used_at = greatest(k.used_at, excluded.used_at)
           returning used_at as used, told_at > now() - $5 * interval '1 day' as told`,
          [credential, key.admin, key.since, touched, TOLD_AGAIN_DAYS],
        );
        const { used, told: already } = rows[0]!;
        if (already || this.#now() - Math.max(used?.getTime() ?? 0, key.since) <= UNUSED) return 0;
        await t.query('update respond.key_use set told_at = now() where credential = $1', [credential]);
        await emit(t, { kind: 'account.key_unused', actor: 'core', detail: { admin: key.admin, credential } });
        return 1;
      });
    }
    return told;
  }

  async #drill({ breakGlass }: RosterView): Promise<number> {
    if (breakGlass.state !== 'sealed' || this.#now() - (breakGlass.drilledAt ?? 0) <= QUARTER) return 0;
    const { rowCount } = await this.#pool.query(
      `select from log.event where kind = 'breakglass.drill_due' and time > now() - interval '7 days' limit 1`,
    );
    if ((rowCount ?? 0) > 0) return 0;
    await emit(this.#pool, {
      kind: 'breakglass.drill_due',
      actor: 'core',
      detail: { drilled: breakGlass.drilledAt ?? 0 },
    });
    return 1;
  }

  /** One look may fall into the moment in which the sealer follows; two in a row are a difference. */
  async #agreement({ digest, version }: RosterView): Promise<number> {
    const { roster } = await this.#guards.sealer.call<{ roster: { version: number; digest: string } }>('status', {});
    const parted = roster.digest !== digest;
    const tell = parted && this.#parted;
    this.#parted = parted;
    if (!tell) return 0;
    const { rowCount } = await this.#pool.query(
      `select from log.event where kind = 'roster.split' and time > now() - interval '1 hour' limit 1`,
    );
    if ((rowCount ?? 0) > 0) return 0;
    await emit(this.#pool, {
      kind: 'roster.split',
      actor: 'core',
      detail: { ledger: version, sealer: roster.version },
    });
    return 1;
  }
}
