import type { KeyObject } from 'node:crypto';
import { equalBytes } from '#base';
import { emit } from '#log';
import { signPackage } from '#seal';
import { type Pool, tx } from '#store';
import { FleetError } from '../error.ts';
import { readPackage } from './read.ts';
import { partsOf } from './store.ts';

interface Proposed {
  readonly id: string;
  readonly app_id: string;
  readonly size: number;
  readonly identifier: string;
  readonly version: string;
  readonly build: string;
  readonly sha256: Buffer;
  readonly part_hashes: Buffer;
}

/**
 * Reads packages that were handed in once more, whole, and signs those that are what the console wrote down; a device
 * gets no other. One at a time; a crash in between leaves it to be read again. Returns how many were decided.
 */
export async function signPackages(pool: Pool, signKey: KeyObject): Promise<number> {
  const { rows } = await pool.query<Proposed>(
    `select id, app_id, size, identifier, version, build, sha256, part_hashes from fleet.package
     where state = 'proposed' order by stored_at limit 1`,
  );
  const one = rows[0];
  if (one === undefined) return 0;
  const fault = await faultOf(pool, one);
  const { id, identifier, version, build, size, part_hashes: partHashes } = one;
  const signature =
    fault === undefined ? signPackage(signKey, { id, identifier, version, build, size, partHashes }) : null;
  await tx(pool, async (t) => {
    const { rowCount } = await t.query(
      `update fleet.package set state = $2, signature = $3, reason = $4, decided_at = now() where id = $1 and state = 'proposed'`,
      [id, fault === undefined ? 'ready' : 'refused', signature, fault ?? null],
    );
    if (!rowCount) return;
    const kind = fault === undefined ? 'app.package_ready' : 'app.package_refused';
    await emit(t, { kind, actor: 'core', detail: { package: id, app: one.app_id, identifier } });
  });
  return 1;
}

async function faultOf(pool: Pool, one: Proposed): Promise<string | undefined> {
  try {
    const read = await readPackage(partsOf(pool, one.id), one.size);
    const same =
      read.identifier === one.identifier &&
      read.version === one.version &&
      read.build === one.build &&
      equalBytes(read.sha256, one.sha256) &&
      equalBytes(read.partHashes, one.part_hashes);
    return same ? undefined : 'it is not what was written down of it';
  } catch (error) {
    if (error instanceof FleetError) return error.message.slice(0, 200);
    throw error;
  }
}
