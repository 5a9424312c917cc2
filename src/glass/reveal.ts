import { toBase64url } from '#base';
import { type Field, type Grant, parseAssertion, parseGrant, type SealedRow, shape } from '#seal';
import type { GlassDoors } from './doors.ts';

const parse = shape.object({
  grant: parseGrant,
  assertion: parseAssertion,
  others: shape.optional(shape.list(parseAssertion, 7)),
});

/**
 * Takes a touched grant and the ciphertext it names to the sealer. What comes back is encrypted to the browser's key:
 * glass sees no value. Throws GuardError with the guards' refusal.
 */
export async function reveal(doors: GlassDoors, body: unknown): Promise<object> {
  const { grant, assertion, others } = parse(body);
  const rows = await openRows(doors, grant);
  return doors.sealer.call('reveal', { grant, assertion, rows, ...(others === undefined ? {} : { others }) });
}

/** The ciphertext that a grant names: settled rows of one field. */
export function openRows(doors: GlassDoors, grant: Grant): Promise<SealedRow[]> {
  return rowsOf(doors, grant.field, grant.subjects);
}

/** Settled rows of one field. */
export async function rowsOf(doors: GlassDoors, field: Field, subjects: readonly string[]): Promise<SealedRow[]> {
  const { rows } = await doors.pool.query<{ subject: string; version: number; row: Buffer }>(
    'select subject, version, row from people.read_rows($1, $2)',
    [field, subjects],
  );
  return rows.map(({ subject, version, row }) => ({ subject, field, version, row: toBase64url(row) }));
}
