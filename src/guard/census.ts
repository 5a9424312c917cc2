import type { Rows } from './rows.ts';

/** A value that a person's lock covers, as `subject|field|version`. */
export const valueName = (row: {
  readonly subject: string;
  readonly field: string;
  readonly version: number;
}): string => `${row.subject}|${row.field}|${row.version}`;

/** How many present values do not pass. */
export function countValues(rows: Rows, pass: (value: string) => boolean = () => false): number {
  let count = 0;
  for (const [subject, field, version] of rows.all()) if (!pass(valueName({ subject, field, version }))) count++;
  return count;
}
