import { newToken, sha256, toBase64url } from '#base';
import type { Queryable } from '#store';
import { FleetError } from '../error.ts';

/** Stores data that a declaration shall point to. The address is 256 random bits and is part of nothing but the declaration. */
export async function storeData(
  db: Queryable,
  input: { readonly name: string; readonly contentType: string; readonly content: Buffer; readonly by: string },
): Promise<{ id: string; size: number; sha256: string }> {
  if (input.content.length < 1 || input.content.length > 512 * 1024) {
    throw new FleetError('bad-request', 'Data for declarations has 1 byte to 512 KiB.');
  }
  const id = toBase64url(Buffer.from(newToken(), 'base64url'));
  const digest = sha256(input.content);
  await db.query(
    `insert into fleet.declared_data (id, name, content_type, content, sha256, created_by) values ($1, $2, $3, $4, $5, $6)`,
    [id, input.name, input.contentType, input.content, digest, input.by],
  );
  return { id, size: input.content.length, sha256: digest.toString('hex') };
}
