import type { Queryable } from '#store';

/** A person as the console may know them: a handle, where they work, and which values are sealed for them. */
export interface PersonRow {
  readonly handle: string;
  readonly unit: string | null;
  readonly memberState: string | null;
  /** Fields that are under the person's lock. */
  readonly fields: readonly string[];
  readonly leftAt: Date | null;
}

/** People by handle, after `after`; `text` searches handle, unit and member state. Names cannot be searched. */
export async function listPeople(
  db: Queryable,
  filter: { readonly text?: string; readonly after?: string; readonly limit: number },
): Promise<{ people: PersonRow[]; total: number }> {
  const where = `($1::text is null or position($1 in lower(concat_ws(' ', p.handle, p.unit, p.member_state))) > 0)`;
  const text = filter.text?.toLowerCase().trim() || null;
  const { rows } = await db.query<PersonRow>(
    `select p.handle, p.unit, p.member_state as "memberState", p.left_at as "leftAt",
       coalesce((select array_agg(s.field order by s.field) from people.sealed s where s.subject = p.handle), '{}') as fields
     from people.person p where ${where} and p.handle > $2 order by p.handle limit $3`,
    [text, filter.after ?? '', filter.limit],
  );
  const count = await db.query<{ total: number }>(`select count(*)::int as total from people.person p where ${where}`, [
    text,
  ]);
  return { people: rows, total: count.rows[0]!.total };
}

/** How many people are in the directory; decoys are among them, and nobody but the ledger knows which. */
export async function countPeople(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ n: number }>('select count(*)::int as n from people.person where left_at is null');
  return rows[0]!.n;
}
