import { fromBase64url, newToken, sha256 } from '#base';
import type { Queryable } from '#store';

/**
 * A one-time link's token by which a person sees who looked at their data; kept nowhere but in the link. Undefined if nobody
 * bears this handle.
 */
export async function offerSheet(db: Queryable, handle: string, by: string): Promise<string | undefined> {
  const token = newToken();
  const { rows } = await db.query<{ made: boolean }>('select people.offer_sheet($1, $2, $3) as made', [
    ...[handle, sha256(fromBase64url(token)), by],
  ]);
  return rows[0]?.made === true ? token : undefined;
}
