import type { Queryable } from '#store';

/** Those of the handles that stand for nobody in the directory, or for somebody who has left, in order. */
export async function unknownPeople(db: Queryable, handles: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ handle: string }>(
    `select x.handle from unnest($1::text[]) x(handle)
     where not exists (select from people.person p where p.handle = x.handle and p.left_at is null) group by 1 order by 1`,
    [handles],
  );
  return rows.map(({ handle }) => handle);
}
