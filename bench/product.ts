import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { stateIntent } from '#fleet';
import { openPool, type Pool, tx } from '#store';
import { fromPem, parseCertificate } from '#wire';
import type { Product } from '../src/run/supervisor.ts';
import type { BenchDevice } from './devices.ts';

/** Our side: the whole product, with evidence log, guards, watch and core at work. */
export interface Ours {
  readonly ca: {
    readonly certificate: ReturnType<typeof parseCertificate>;
    readonly key: ReturnType<typeof createPrivateKey>;
  };
  readonly pool: Pool;
  /** States what an admin would and waits until core has queued it. Seconds, and the intent's id or the commands' ids. */
  enqueue(devices: readonly string[] | 'all'): Promise<{ seconds: number; id: string; uuids: Map<string, string> }>;
}

export function ours(product: Product): Ours {
  const state = product.home.state('core');
  const pool = openPool(product.admin, { max: 4 });
  return {
    ca: {
      certificate: parseCertificate(fromPem(readFileSync(join(state, 'ca.pem'), 'utf8'))),
      key: createPrivateKey(readFileSync(join(state, 'ca.key'))),
    },
    pool,
    enqueue: async (devices) => {
      const startedAt = performance.now();
      const stated = await tx(pool, (t) =>
        stateIntent(t, {
          ...{
            verb: 'SecurityInfo',
            devices,
            params: {},
            requester: 'bench-admin',
            purpose: 'a benchmark',
            now: Date.now(),
          },
        }),
      );
      for (;;) {
        const { rows } = await pool.query<{ state: string }>('select state from fleet.intent where id = $1', [
          stated.id,
        ]);
        if (rows[0]!.state === 'dispatched') break;
        await sleep(5);
      }
      const seconds = (performance.now() - startedAt) / 1000;
      return { seconds, id: stated.id, uuids: new Map(stated.targets.map(({ device, uuid }) => [device, uuid])) };
    },
  };
}

/** Writes enrolled devices, and `history` answered commands each as past commands to all. */
export async function seedOurs(
  pool: Pool,
  devices: readonly BenchDevice[],
  others: readonly { handle: string; udid: string }[],
  history: number,
): Promise<void> {
  await pool.query(
    `insert into fleet.device (handle, state, udid, topic, push_token, push_magic, certificate_sha256, certificate_not_after, enrolled_at, last_seen_at)
     select handle, 'enrolled', udid, 'bench', decode(repeat('00', 32), 'hex'), 'magic',
       coalesce(hash, sha256(convert_to(udid, 'UTF8'))), now() + interval '300 days', now(), now()
     from unnest($1::text[], $2::text[], $3::bytea[]) x(handle, udid, hash)`,
    [
      [...devices, ...others].map(({ handle }) => handle),
      [...devices, ...others].map(({ udid }) => udid),
      [...devices.map(({ certificate }) => certificate.sha256), ...others.map(() => null)],
    ],
  );
  for (let n = 0; n < history; n += 1) await pastFanOut(pool, null);
  await vacuum(pool);
}

/** Gives the devices these certificates, as if each had been issued and used. */
export async function pinOurs(pool: Pool, devices: readonly BenchDevice[]): Promise<void> {
  const ids = [devices.map(({ udid }) => udid), devices.map(({ certificate }) => certificate.sha256)];
  // The register first: a table that was empty a moment ago is read from end to end for every single device.
  await pool.query(
    `insert into fleet.certificate (sha256, device_id, not_after, seen_at)
     select x.hash, d.id, d.certificate_not_after, now() from fleet.device d join unnest($1::text[], $2::bytea[]) x(udid, hash) using (udid)
     on conflict do nothing`,
    ids,
  );
  await vacuum(pool);
  for (let at = 0; at < devices.length; at += 5_000) {
    await pool.query(
      `update fleet.device d set certificate_sha256 = x.hash from unnest($1::text[], $2::bytea[]) x(udid, hash) where d.udid = x.udid`,
      ids.map((all) => all.slice(at, at + 5_000)),
    );
  }
  await vacuum(pool);
}

/** One answered command to all devices, or to some. */
async function pastFanOut(pool: Pool, handles: readonly string[] | null): Promise<void> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into fleet.fan_out (id, verb, template, members_sha256, members, signature)
     values (gen_random_uuid(), 'SecurityInfo', 'past', sha256('past'), 1, 'past') returning id`,
  );
  await pool.query(
    `insert into fleet.command (uuid, device_id, request_type, fan_out_id, state, queued_at, delivered_at, deliveries, done_at)
     select gen_random_uuid(), id, 'SecurityInfo', $1, 'acknowledged', now() - interval '1 day', now(), 1, now()
     from fleet.device where $2::text[] is null or handle = any($2)`,
    [rows[0]!.id, handles],
  );
}

export async function lengthenOurs(
  pool: Pool,
  handles: readonly string[],
  from: number,
  history: number,
): Promise<void> {
  for (let n = from; n <= history; n += 1) await pastFanOut(pool, handles);
  await vacuum(pool);
}

async function vacuum(pool: Pool): Promise<void> {
  const client = new pg.Client(pool.config);
  await client.connect();
  await client.query('vacuum analyze').finally(() => client.end());
}

/** Waits until core has numbered and shipped everything that was written; seconds. The log is part of the product. */
export async function logCaughtUp(pool: Pool, withinMs: number): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from log.event where leaf is null');
    const seconds = (performance.now() - startedAt) / 1000;
    if (rows[0]!.n === 0 || seconds * 1000 > withinMs) return seconds;
    await sleep(100);
  }
}
