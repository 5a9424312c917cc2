import { randomBytes } from 'node:crypto';
import { sha256 } from '#base';
import { dataAddress } from '#seal';
import type { Queryable } from '#store';
import { FleetError } from '../error.ts';

/** Stores data that a declaration shall point to, at an address that is its hash: what stands there never changes. */
export async function storeData(
  db: Queryable,
  input: { readonly name: string; readonly contentType: string; readonly content: Buffer; readonly by: string },
): Promise<{ id: string; size: number; sha256: string }> {
  if (input.content.length < 1 || input.content.length > 512 * 1024) {
    throw new FleetError('bad-request', 'Data for declarations has 1 byte to 512 KiB.');
  }
  const salt = randomBytes(32);
  const id = dataAddress({ salt, type: input.contentType, content: input.content });
  const digest = sha256(input.content);
  await db.query(
    `insert into fleet.declared_data (id, name, content_type, content, sha256, created_by, salt) values ($1, $2, $3, $4, $5, $6, $7)`,
    [id, input.name, input.contentType, input.content, digest, input.by, salt],
  );
  return { id, size: input.content.length, sha256: digest.toString('hex') };
}
