import { uuidv7 } from '#base';
import { type Pool, type Queryable, tx } from '#store';
import { addVersion, appForPackage } from '../apps/versions.ts';
import { FleetError } from '../error.ts';
import { fingerprintOf } from './link.ts';
import { MOST_PACKAGE_BYTES, type ReadPart, readPackage } from './read.ts';

/** A package as screens show it. */
export interface PackageRow {
  readonly id: string;
  readonly app: string;
  readonly version: string;
  readonly build: string;
  readonly minimumOs: string | null;
  readonly size: number;
  readonly sha256: string;
  readonly state: 'proposed' | 'ready' | 'refused';
  readonly reason: string | null;
  readonly storedBy: string;
  readonly storedAt: Date;
  /** What stands in the addresses of it: base64url SHA-256 over the hashes of its parts of 1 MiB. */
  readonly fingerprint: string;
}

/** Packages that are there, newest first, at most 200. */
export async function listPackages(db: Queryable): Promise<PackageRow[]> {
  const { rows } = await db.query<Omit<PackageRow, 'fingerprint'> & { fingerprint: Buffer }>(
    `select k.id, k.app_id as app, k.version, k.build, k.minimum_os as "minimumOs", k.size, encode(k.sha256, 'hex') as sha256,
       k.state, k.reason, k.stored_by as "storedBy", k.stored_at as "storedAt", k.part_hashes as fingerprint
     from fleet.package k where k.state not in ('arriving', 'removed') and k.app_id is not null
     order by k.stored_at desc limit 200`,
  );
  return rows.map((row) => ({ ...row, fingerprint: fingerprintOf(row.fingerprint) }));
}

/** Begins an upload of `size` bytes; answers its id. Throws FleetError. */
export async function beginPackage(
  db: Queryable,
  input: { readonly size: number; readonly by: string },
): Promise<string> {
  if (input.size < 22 || input.size > MOST_PACKAGE_BYTES)
    throw new FleetError('bad-package', 'An app package has at most 512 MiB.', { status: 413 });
  const id = uuidv7();
  const { rows } = await db.query<{ verdict: string }>('select fleet.begin_package($1, $2, $3) as verdict', [
    ...[id, input.size, input.by],
  ]);
  const verdict = rows[0]!.verdict;
  if (verdict === 'busy')
    throw new FleetError('too-many', 'Four uploads are under way. Wait until one of them is done.', { status: 429 });
  if (verdict === 'full')
    throw new FleetError('too-many', 'All packages together have at most 20 GiB. Remove some first.', { status: 507 });
  return id;
}

/** One part of one's own upload. Throws FleetError if it does not fit. */
export async function putPackagePart(
  db: Queryable,
  input: { readonly id: string; readonly n: number; readonly bytes: Uint8Array; readonly by: string },
): Promise<void> {
  const { rows } = await db.query<{ put: boolean }>('select fleet.put_package_part($1, $2, $3, $4) as put', [
    ...[input.id, input.n, Buffer.from(input.bytes), input.by],
  ]);
  if (!rows[0]!.put)
    throw new FleetError('bad-package', 'There is no such upload of yours, or this part does not fit into it.', {
      status: 409,
    });
}

/**
 * All parts are there: reads the package and makes it a version of its app, which is made if it is new. Core
 * reads it once more then. What cannot be used is thrown away. Throws FleetError.
 */
export async function finishPackage(
  pool: Pool,
  input: { readonly id: string; readonly by: string },
): Promise<{ app: string; package: string; identifier: string; version: string }> {
  const { rows } = await pool.query<{ size: number }>(
    `select size from fleet.package where id = $1 and state = 'arriving' and stored_by = $2`,
    [input.id, input.by],
  );
  if (rows[0] === undefined) throw new FleetError('bad-package', 'There is no such upload of yours.', { status: 404 });
  try {
    const facts = await readPackage(partsOf(pool, input.id), rows[0].size);
    return await tx(pool, async (t) => {
      const app = await appForPackage(t, { identifier: facts.identifier, name: facts.name, by: input.by });
      const same = await t.query<{ id: string }>(
        `select id from fleet.package where app_id = $1 and sha256 = $2 and state in ('proposed', 'ready')`,
        [app, facts.sha256],
      );
      const known = same.rows[0]?.id;
      if (known !== undefined) {
        await t.query('select fleet.drop_package($1, $2)', [input.id, input.by]);
      } else {
        const { identifier, version, build, minimumOs } = facts;
        const done = await t.query<{ done: boolean }>(
          'select fleet.propose_package($1, $2, $3, $4, $5, $6, $7, $8, $9) as done',
          [input.id, app, identifier, version, build, minimumOs, facts.sha256, facts.partHashes, input.by],
        );
        if (!done.rows[0]!.done) throw new FleetError('bad-package', 'A part of the package is missing.');
        await addVersion(t, { app, package: input.id, by: input.by });
      }
      return { app, package: known ?? input.id, identifier: facts.identifier, version: facts.version };
    });
  } catch (error) {
    if (error instanceof FleetError) await pool.query('select fleet.drop_package($1, $2)', [input.id, input.by]);
    throw error;
  }
}

/** Reads parts from the database; the last one is kept, because neighbouring reads often want it again. */
export function partsOf(db: Queryable, id: string): ReadPart {
  let last: { n: number; bytes: Buffer } | undefined;
  return async (n) => {
    if (last?.n === n) return last.bytes;
    const { rows } = await db.query<{ bytes: Buffer }>(
      'select bytes from fleet.package_part where package_id = $1 and n = $2',
      [id, n],
    );
    if (rows[0] === undefined)
      throw new FleetError('bad-package', 'A part of the package is missing. Hand it in again.');
    last = { n, bytes: rows[0].bytes };
    return last.bytes;
  };
}

/** Takes a package away for good. Throws FleetError while its version is the one that devices get. */
export async function removePackage(db: Queryable, input: { readonly id: string; readonly by: string }): Promise<void> {
  const { rows } = await db.query<{ done: boolean }>('select fleet.remove_package($1, $2) as done', [
    ...[input.id, input.by],
  ]);
  if (rows[0]!.done) return;
  throw new FleetError('bad-package', 'There is no such package, or its version is the one that devices get.', {
    status: 409,
  });
}
