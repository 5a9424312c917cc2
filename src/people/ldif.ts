import type { CsvRecord, RefusedLine } from './csv.ts';
import { parseCsv } from './csv.ts';
import { DEFAULT_NUMBERS, HEADER, judgeFile, judgeRow, type NumberPolicy, type PlainPerson } from './judge.ts';

/** A person and the line on which they begin. */
export interface Placed {
  readonly line: number;
  readonly person: PlainPerson;
}

/** Of attributes of inetOrgPerson (RFC 2798) and Active Directory the first that is there, for each column. */
const COLUMNS: readonly (readonly string[])[] = [
  ['givenname'],
  ['sn'],
  ['mail'],
  ['mobile'],
  ['departmentnumber', 'department', 'ou'],
  ['c', 'co'],
  ['objectguid', 'entryuuid', 'employeenumber', 'uid'],
];

/** Reads LDIF (RFC 2849) or CSV with `external_id`, told apart by the first line. Every line that is wrong is named. */
export function peopleOf(
  text: string,
  policy: NumberPolicy = DEFAULT_NUMBERS,
): { readonly people: Placed[] } | { readonly refused: RefusedLine[] } {
  if (/^(\uFEFF)?(#.*\r?\n)*\s*(version:|dn:)/i.test(text)) return judged(ldifRecords(text), policy);
  const read = judgeFile(text, policy, { keys: true });
  if ('refused' in read) return read;
  if (read.people.some(({ externalId }) => externalId === '')) return { refused: [{ line: 1, code: 'header' }] };
  const lines = parseCsv(text, read.people.length + 1).records.slice(1);
  return { people: read.people.map((person, i) => ({ line: lines[i]!.line, person })) };
}

function judged(records: readonly CsvRecord[], policy: NumberPolicy) {
  const people: Placed[] = [];
  const refused: RefusedLine[] = [];
  for (const record of records) {
    const row = judgeRow(record, policy, HEADER.length + 1);
    if ('code' in row) refused.push(row);
    else people.push({ line: record.line, person: row });
  }
  if (refused.length > 0) return { refused };
  return people.length === 0 ? { refused: [{ line: 1, code: 'empty' }] } : { people };
}

/** Entries with a `dn`, folded lines joined, base64 values read (`attr:: …`); others than text in UTF-8 stay as base64. */
function ldifRecords(text: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let entry: { line: number; values: Map<string, string> } | undefined;
  const end = () => {
    if (entry !== undefined) {
      const { values } = entry;
      const cells = COLUMNS.map(
        (names) => names.map((name) => values.get(name)).find((one) => one !== undefined) ?? '',
      );
      records.push({ line: entry.line, cells });
    }
    entry = undefined;
  };
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let at = 0; at < lines.length; at += 1) {
    const start = at + 1;
    let line = lines[at]!;
    while (lines[at + 1]?.startsWith(' ')) {
      at += 1;
      line += lines[at]!.slice(1);
    }
    if (line === '') {
      end();
      continue;
    }
    const [, name, coded, value] = /^([A-Za-z][A-Za-z0-9.-]*)(?:;[^:]*)?:(:?) ?(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (name.toLowerCase() === 'dn') {
      end();
      entry = { line: start, values: new Map() };
    } else if (entry !== undefined && !entry.values.has(name.toLowerCase())) {
      entry.values.set(name.toLowerCase(), coded === ':' ? decoded(value!) : value!);
    }
  }
  end();
  return records;
}

function decoded(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'base64'));
  } catch {
    return value;
  }
}
