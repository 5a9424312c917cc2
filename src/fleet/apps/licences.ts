import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { emit } from '#log';
import { type Pool, tx } from '#store';
import { APPLE_APPS, AppsClient, AppsProblem, readServiceToken, type ServiceToken } from './client.ts';

const REFRESH_MS = 15 * 60_000;
const PROBLEM_MS = 60_000;
const ALARM_DAYS = [30, 14, 7, 1];

/**
 * Keeps licences in line with what apps are assigned, for serial numbers only. Its files are `apps-token` (the sToken) and
 * `apps-endpoint` in core's state directory; without a token it does nothing.
 */
export class Licences {
  readonly #pool: Pool;
  readonly #state: string;
  readonly #now: () => number;
  #client: { token: string; client: AppsClient } | undefined;

  constructor(options: { readonly pool: Pool; readonly state: string; readonly now: () => number }) {
    this.#pool = options.pool;
    this.#state = options.state;
    this.#now = options.now;
  }

  /** One step: what changed is asked for, what was asked for is looked after. Returns how many licences moved. */
  async step(): Promise<number> {
    const token = this.#token();
    if (token === undefined) return 0;
    const client = this.#clientOf(token);
    await this.#watch(token);
    const due = await this.#pool.query('select from fleet.app_service where next_at > now()');
    if (due.rowCount) return 0;
    try {
      await this.#refresh(client);
      return (await this.#plan()) + (await this.#ask(client)) + (await this.#follow(client));
    } catch (error) {
      if (!(error instanceof AppsProblem)) throw error;
      await this.#problem(error);
      return 0;
    }
  }

  #token(): ServiceToken | undefined {
    const file = join(this.#state, 'apps-token');
    return existsSync(file) ? readServiceToken(readFileSync(file, 'utf8')) : undefined;
  }

  #clientOf(token: ServiceToken): AppsClient {
    if (this.#client?.token !== token.text) {
      const file = join(this.#state, 'apps-endpoint');
      const endpoint = existsSync(file) ? readFileSync(file, 'utf8').trim() : APPLE_APPS;
      this.#client = { token: token.text, client: new AppsClient(endpoint, token) };
    }
    return this.#client.client;
  }

  /** Notes which token is in use and speaks up while it runs out. */
  async #watch(token: ServiceToken): Promise<void> {
    const days = Math.floor((token.until - this.#now()) / 86_400_000);
    const alarm = ALARM_DAYS.filter((one) => days <= one).at(-1) ?? null;
    await tx(this.#pool, async (t) => {
      const { rows } = await t.query<{ alarmed: number | null }>(
        `insert into fleet.app_service as s (organisation, token_until) values ($1, to_timestamp($2::double precision / 1000))
         on conflict (one) do update set organisation = $1, token_until = excluded.token_until,
           alarmed = case when s.token_until = excluded.token_until then s.alarmed end returning s.alarmed`,
        [token.organisation, token.until],
      );
      const { alarmed } = rows[0]!;
      if (alarm === null || (alarmed !== null && alarmed <= alarm)) return;
      await t.query('update fleet.app_service set alarmed = $1', [alarm]);
      await emit(t, { kind: 'app.token_expiring', actor: 'core', detail: { days: Math.max(days, 0) } });
    });
  }

  async #refresh(client: AppsClient): Promise<void> {
    const fresh = await this.#pool.query(
      `select from fleet.app_service where checked_at > now() - $1 * interval '1 millisecond' and problem is null`,
      [REFRESH_MS],
    );
    if (fresh.rowCount) return;
    const assets = (await client.assets()).map(({ adamId, total, available }) => ({ adamId, total, available }));
    await this.#pool.query('update fleet.app_service set assets = $1, checked_at = now(), problem = null', [
      JSON.stringify(assets),
    ]);
  }

  /** Writes down which licences are wanted and which are not any more, before anybody is asked. */
  async #plan(): Promise<number> {
    const { rowCount } = await this.#pool.query(
      `with wanted as (
         select distinct x.app_id, m.device_id from fleet.app_assignment x join fleet.app a on a.id = x.app_id and a.kind = 'store'
           join fleet.device_group g on g.id = x.group_id and g.deleted_at is null join fleet.group_member m on m.group_id = x.group_id
           join fleet.device d on d.id = m.device_id and d.state = 'enrolled' and d.serial is not null
         where x.removed_at is null),
       gone as (
         update fleet.app_licence l set state = 'unwanted', event_id = null, at = clock_timestamp()
         where l.state = 'held' and not exists (select from wanted w where w.app_id = l.app_id and w.device_id = l.device_id)
           and not exists (select from fleet.app_on o where o.app_id = l.app_id and o.device_id = l.device_id and o.sent is not null)
         returning 1)
       insert into fleet.app_licence as l (app_id, device_id, state) select app_id, device_id, 'wanted' from wanted
       on conflict (app_id, device_id) do update set state = 'wanted', event_id = null, reason = null, at = clock_timestamp()
       where l.state = 'returned' or (l.state = 'failed' and l.at < now() - interval '1 hour')`,
    );
    return rowCount ?? 0;
  }

  async #ask(client: AppsClient): Promise<number> {
    const { mostSerials } = await client.config();
    let asked = 0;
    for (const [from, to, what] of [
      ['wanted', 'asked', 'associate'],
      ['unwanted', 'returning', 'disassociate'],
    ] as const) {
      const { rows } = await this.#pool.query<{ adam_id: number; devices: number[]; serials: string[] }>(
        `select a.adam_id, array_agg(d.id order by d.id) as devices, array_agg(d.serial order by d.id) as serials
         from (select * from fleet.app_licence where state = $1 order by at limit 2000) l join fleet.app a on a.id = l.app_id
         join fleet.device d on d.id = l.device_id where d.serial is not null group by a.adam_id`,
        [from],
      );
      for (const { adam_id, devices, serials } of rows)
        for (let at = 0; at < devices.length; at += mostSerials) {
          const event = await client.change(what, adam_id, serials.slice(at, at + mostSerials));
          // A crash before this line asks the same again, which changes nothing there.
          await this.#pool.query(
            `update fleet.app_licence l set state = $3, event_id = $4, at = clock_timestamp() from fleet.app a
             where a.id = l.app_id and a.adam_id = $1 and l.device_id = any($2) and l.state = $5`,
            [adam_id, devices.slice(at, at + mostSerials), to, event, from],
          );
          asked += 1;
        }
    }
    return asked;
  }

  async #follow(client: AppsClient): Promise<number> {
    const { rows } = await this.#pool.query<{ event_id: string }>(
      `select event_id from fleet.app_licence where state in ('asked', 'returning') group by event_id order by min(at) limit 50`,
    );
    let moved = 0;
    for (const { event_id } of rows) {
      const { state, failures } = await client.event(event_id);
      if (state === 'pending') continue;
      moved += await tx(this.#pool, async (t) => {
        const failed = await t.query<{ reason: string }>(
          `update fleet.app_licence l set state = 'failed', reason = f.code, at = clock_timestamp()
           from fleet.device d, jsonb_to_recordset($2::jsonb) as f("serialNumber" text, code text)
           where l.event_id = $1 and l.state in ('asked', 'returning') and d.id = l.device_id and d.serial = f."serialNumber"
           returning l.reason`,
          [event_id, JSON.stringify(failures)],
        );
        if (failed.rows[0] !== undefined) {
          const detail = { count: failed.rows.length, reason: failed.rows[0].reason };
          await emit(t, { kind: 'app.licence_failed', actor: 'core', detail });
        }
        const { rowCount } = await t.query(
          `update fleet.app_licence set state = case state when 'asked' then 'held' else 'returned' end, reason = null,
             at = clock_timestamp() where event_id = $1 and state in ('asked', 'returning')`,
          [event_id],
        );
        return (rowCount ?? 0) + failed.rows.length;
      });
    }
    return moved;
  }

  async #problem(error: AppsProblem): Promise<void> {
    await tx(this.#pool, async (t) => {
      const { rows } = await t.query<{ before: string | null }>(
        `with old as (select problem from fleet.app_service)
         update fleet.app_service set problem = $1, next_at = now() + $2 * interval '1 millisecond'
         returning (select problem from old) as before`,
        [error.code, error.waitMs ?? PROBLEM_MS],
      );
      if (rows[0]?.before !== error.code && error.code !== 'throttled')
        await emit(t, { kind: 'app.service_problem', actor: 'core', detail: { problem: error.code } });
    });
  }
}
