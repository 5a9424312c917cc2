import { canonicalJson, equalBytes, type Json, sha256 } from '#base';
import { emit } from '#log';
import { type Pool, tx } from '#store';
import { openServerToken, parseAdePage } from '#wire';
import { FleetError } from '../error.ts';
import { expiryAlarm } from '../push/certificate.ts';
import { AdeClient, AdeProblem } from './client.ts';
import { applyAdePage, removeAdeDevice } from './devices.ts';
import type { AdeFiles } from './files.ts';
import { type AdePolicy, adeProfile, readAdePolicy } from './policy.ts';

const PAGE = 500;
const ASSIGN_AT_ONCE = 500;
const EVERY_MS = 15 * 60_000;

interface Server {
  readonly key_wanted: boolean;
  readonly upload: Buffer | null;
  readonly upload_by: string | null;
  readonly certificate: Buffer | null;
  readonly policy: Partial<AdePolicy>;
  readonly profile_uuid: string | null;
  readonly profile_sha256: Buffer | null;
  readonly phase: 'fetch' | 'sync';
  readonly cursor: string | null;
  readonly due: boolean;
  readonly attempts: number;
  readonly alarmed: number | null;
}

/** What device assignment works with; one per core process. */
export interface AdeDoors {
  readonly pool: Pool;
  readonly files: AdeFiles;
  readonly now: () => number;
  readonly where: { readonly edge: string; readonly organisation: string };
}

/**
 * Device assignment, one step at a time: the key, a new token, the profile, one page of devices, one batch of assignments.
 * Each answer is written down with the place where it leads, in one transaction; a crash before asks the same again.
 */
export class Ade {
  readonly #doors: AdeDoors;
  #client: AdeClient | undefined;

  constructor(doors: AdeDoors) {
    this.#doors = doors;
  }

  /** Returns how many things were done: 0 means to wait. */
  async step(): Promise<number> {
    const { pool, files, now } = this.#doors;
    const { rows } = await pool.query<Server>('select *, next_at <= now() as due from fleet.ade_server');
    const server = rows[0]!;
    if (server.key_wanted) return this.#makeKey();
    const upload = server.upload ?? files.takeUpload();
    if (upload !== undefined) return this.#accept(upload, server.upload_by ?? 'operator');
    const token = files.token();
    if (token === undefined) return 0;
    await this.#warn(token.notAfter, server);
    if (!server.due) return 0;
    this.#client ??= new AdeClient(files.endpoint(), token);
    try {
      return await this.#work(this.#client, server);
    } catch (error) {
      if (!(error instanceof AdeProblem)) throw error;
      return this.#postpone(error, server, now());
    }
  }

  async #makeKey(): Promise<number> {
    const { pool, files, now } = this.#doors;
    const certificate = files.key()?.certificate ?? files.makeKey(now());
    await pool.query('update fleet.ade_server set key_wanted = false, certificate = $1', [
      Buffer.from(certificate.der),
    ]);
    return 1;
  }

  /** A token is taken only if the service takes it; then everything is fetched anew. */
  async #accept(upload: Buffer, by: string): Promise<number> {
    const { pool, files } = this.#doors;
    try {
      const key = files.key();
      if (key === undefined) throw new AdeProblem('no-key');
      const token = openServerToken(upload, key);
      const client = new AdeClient(files.endpoint(), token);
      const account = (await client.ask('GET', '/account')) as Record<string, unknown>;
      const said = (name: string) => (typeof account[name] === 'string' ? account[name].slice(0, 64) : null);
      files.keepToken(token);
      this.#client = client;
      await tx(pool, async (t) => {
        await t.query(
          `update fleet.ade_server set upload = null, server_uuid = $1, server_name = $2, org_name = $3,
             token_not_after = to_timestamp($4::double precision / 1000), alarmed = null, phase = 'fetch', cursor = null,
             next_at = now(), attempts = 0, problem = null, problem_at = null`,
          [said('server_uuid'), said('server_name'), said('org_name'), token.notAfter],
        );
        await emit(t, {
          kind: 'ade.token_accepted',
          actor: by,
          detail: { until: new Date(token.notAfter).toISOString() },
        });
      });
      return 1;
    } catch (error) {
      if (!(error instanceof FleetError) && !(error instanceof Error && 'code' in error)) throw error;
      const code = (error as { code: string }).code;
      await tx(pool, async (t) => {
        await t.query('update fleet.ade_server set upload = null, problem = $1, problem_at = now()', [code]);
        await emit(t, { kind: 'ade.problem', actor: 'core', detail: { reason: code } });
      });
      return 0;
    }
  }

  async #warn(notAfter: number, server: Server): Promise<void> {
    const alarm = expiryAlarm(notAfter, this.#doors.now());
    if (alarm === undefined || (server.alarmed !== null && server.alarmed <= alarm)) return;
    await tx(this.#doors.pool, async (t) => {
      await t.query('update fleet.ade_server set alarmed = $1', [alarm]);
      await emit(t, { kind: 'ade.token_expiring', actor: 'core', detail: { days: alarm } });
    });
  }

  async #work(client: AdeClient, server: Server): Promise<number> {
    const policy = readAdePolicy(server.policy);
    const profile = adeProfile(policy, this.#doors.where);
    const hash = sha256(canonicalJson(profile as Json));
    if (server.profile_sha256 === null || !equalBytes(server.profile_sha256, hash)) {
      const answer = (await client.ask('POST', '/profile', profile)) as { profile_uuid?: string };
      if (typeof answer.profile_uuid !== 'string') throw new AdeProblem('refused');
      // A changed profile reaches devices only by being assigned again.
      await tx(this.#doors.pool, async (t) => {
        await t.query(
          `update fleet.ade_device set wanted = 'assign' where removed_at is null and profile_uuid = (select profile_uuid from fleet.ade_server)`,
        );
        await t.query('update fleet.ade_server set profile_uuid = $1, profile_sha256 = $2', [
          answer.profile_uuid,
          hash,
        ]);
      });
      return 1;
    }
    return (await this.#assign(client, server.profile_uuid!)) || this.#page(client, server, policy.autoAssign);
  }

  async #assign(client: AdeClient, profile: string): Promise<number> {
    const { pool } = this.#doors;
    const { rows } = await pool.query<{ serial: string; wanted: 'assign' | 'remove' }>(
      `select serial, wanted from fleet.ade_device where wanted = (select wanted from fleet.ade_device
         where wanted is not null order by serial limit 1) order by serial limit $1`,
      [ASSIGN_AT_ONCE],
    );
    const act = rows[0]?.wanted;
    if (act === undefined) return 0;
    const serials = rows.map(({ serial }) => serial);
    const answer = (await (act === 'assign'
      ? client.ask('POST', '/profile/devices', { profile_uuid: profile, devices: serials })
      : client.ask('DELETE', '/profile/devices', { devices: serials }))) as { devices?: Record<string, unknown> };
    const said = serials.map((serial) => String(answer.devices?.[serial] ?? 'FAILED').slice(0, 32));
    await tx(pool, async (t) => {
      await t.query(
        `update fleet.ade_device a set wanted = null, answer = x.answer,
           profile_uuid = case when x.answer <> 'SUCCESS' then a.profile_uuid when $3 = 'assign' then $4 end,
           profile_status = case when x.answer <> 'SUCCESS' then a.profile_status when $3 = 'assign' then 'assigned' else 'removed' end
         from unnest($1::text[], $2::text[]) x(serial, answer) where a.serial = x.serial`,
        [serials, said, act, profile],
      );
      const failed = said.filter((one) => one !== 'SUCCESS').length;
      await emit(t, { kind: 'ade.profile_assigned', actor: 'core', detail: { act, devices: serials.length, failed } });
    });
    return serials.length;
  }

  async #page(client: AdeClient, server: Server, autoAssign: boolean): Promise<number> {
    const { pool } = this.#doors;
    const fetching = server.phase === 'fetch';
    const body = { limit: PAGE, ...(server.cursor === null ? {} : { cursor: server.cursor }) };
    const page = parseAdePage(await client.ask('POST', fetching ? '/server/devices' : '/devices/sync', body));
    await tx(pool, async (t) => {
      if (fetching && server.cursor === null)
        await t.query('update fleet.ade_server set fetch_started_at = clock_timestamp()');
      const changes = await applyAdePage(t, page.devices, autoAssign);
      let removed = changes.removed;
      if (fetching && !page.more) removed += await this.#vanished(t);
      await t.query(
        `update fleet.ade_server set cursor = $1, phase = $2, attempts = 0, problem = null, problem_at = null,
           synced_at = case when $3 then now() else synced_at end,
           next_at = now() + $4 * interval '1 millisecond'
         where cursor is not distinct from $5`,
        [
          page.cursor,
          fetching && page.more ? 'fetch' : 'sync',
          !page.more,
          page.more || page.devices.length > 0 ? 0 : EVERY_MS,
          server.cursor,
        ],
      );
      if (changes.added + changes.changed + removed > 0)
        await emit(t, { kind: 'ade.synced', actor: 'core', detail: { ...changes, removed, full: fetching } });
    });
    // The loop comes again at once: more pages, or what the new devices need.
    return page.more || page.devices.length > 0 ? 1 : 0;
  }

  /** After a full fetch: what Apple did not name any more. */
  async #vanished(t: Parameters<typeof removeAdeDevice>[0]): Promise<number> {
    const { rows } = await t.query<{ serial: string }>(
      `select serial from fleet.ade_device where removed_at is null
         and seen_at < (select fetch_started_at from fleet.ade_server)`,
    );
    for (const { serial } of rows) await removeAdeDevice(t, serial, 0);
    return rows.length;
  }

  async #postpone(problem: AdeProblem, server: Server, now: number): Promise<number> {
    const { pool } = this.#doors;
    const { code } = problem;
    if (code === 'expired_cursor' || code === 'invalid_cursor' || code === 'cursor_required') {
      // Cursors live for seven days: all is fetched anew.
      await pool.query(`update fleet.ade_server set phase = 'fetch', cursor = null`);
      return 1;
    }
    if (code === 'exhausted_cursor') {
      await pool.query(
        `update fleet.ade_server set phase = 'sync', synced_at = now(),
        next_at = now() + $1 * interval '1 millisecond'`,
        [EVERY_MS],
      );
      return 0;
    }
    if (code === 'profile_not_found') {
      await pool.query('update fleet.ade_server set profile_sha256 = null');
      return 1;
    }
    const wait = problem.waitMs ?? Math.min(3_600_000, 15_000 * 2 ** Math.min(server.attempts, 8));
    await tx(pool, async (t) => {
      await t.query(
        `update fleet.ade_server set attempts = attempts + 1, problem = $1, problem_at = coalesce(problem_at, now()),
           next_at = to_timestamp($2::double precision / 1000)`,
        [code, now + wait],
      );
      if (server.attempts === 0) await emit(t, { kind: 'ade.problem', actor: 'core', detail: { reason: code } });
    });
    return 0;
  }
}
