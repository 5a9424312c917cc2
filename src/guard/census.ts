import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A value that a person's lock covers, as `subject|field|version`. */
export const valueName = (row: {
  readonly subject: string;
  readonly field: string;
  readonly version: number;
}): string => `${row.subject}|${row.field}|${row.version}`;

/**
 * Counts the values under persons' locks that do not pass, reading every lock file: 100 000 persons take seconds, so it is for the
 * beginning and the end of a rotation.
 */
export async function countValues(folder: string, pass: (value: string) => boolean = () => false): Promise<number> {
  let count = 0;
  for (const part of await readdir(folder, { withFileTypes: true })) {
    if (!part.isDirectory()) continue;
    for (const subject of await readdir(join(folder, part.name))) {
      if (subject.includes('.')) continue;
      const text = await readFile(join(folder, part.name, subject), 'utf8').catch(() => undefined);
      // A lock that was destroyed meanwhile covers nothing.
      if (text === undefined) continue;
      const { versions = {} } = JSON.parse(text) as { versions?: Record<string, number> };
      for (const [field, version] of Object.entries(versions)) {
        if (!pass(valueName({ subject, field, version }))) count++;
      }
    }
  }
  return count;
}
