import parsePhoneNumber, { type CountryCode, isSupportedCountry } from 'libphonenumber-js/max';
import { type CsvRecord, parseCsv, type RefusedLine } from './csv.ts';

// The rules for people on their way in. Runs in intake and in glass's page alike: no room's door, nothing of Node's.

export const HEADER = ['given_name', 'family_name', 'email', 'mobile', 'unit', 'member_state'] as const;
/** A seventh column may follow: the key under which another system knows the person. */
export const KEY_COLUMN = 'external_id';
export const MAX_ROWS = 50_000;

/** What counts as a mobile number; an organisation's setting. */
export interface NumberPolicy {
  /** ISO 3166-1 alpha-2: of national numbers of people whose member state is not known. */
  readonly region?: string;
  /** Numbers that are certainly of a fixed line. */
  readonly landlines: 'refuse' | 'accept';
  /** Possible numbers of a range that the numbering plan does not know, as those reserved for fiction. */
  readonly unknown: 'refuse' | 'accept';
  /** Longest name or address, UTF-8 bytes, where it is less than usual: under the third lock. */
  readonly valueBytes?: number;
}

export const DEFAULT_NUMBERS: NumberPolicy = { landlines: 'refuse', unknown: 'accept' };

/** A person in the clear: lives only between being read and being sealed. */
export interface PlainPerson {
  readonly given: string;
  readonly family: string;
  readonly email: string;
  /** E.164. */
  readonly mobile: string;
  /** In the clear, at most 64 characters; empty if not known. */
  readonly unit: string;
  /** ISO 3166-1 alpha-2, in the clear; empty if not known. */
  readonly memberState: string;
  /** Empty if there is none. */
  readonly externalId: string;
}

const FORMULA = /^[\s]*[=+\-@\t]/;
const PLUS_NUMBER = /^\+[0-9][0-9 ()./-]{4,24}$/;
const NUMBER = /^[+(]?[0-9(][0-9 ()./-]{4,24}$/;
const EMAIL = /^[^\s@"(),:;<>[\]\\]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?\.[a-z]{2,24}$/i;
/** A value is sealed in at most 126 bytes of UTF-8; of a name: given, space, family. */
const VALUE_BYTES = 126;
const MOST_REFUSED = 1_000;

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** `Given Family`, or the code why it cannot be a name. */
export function judgeName(name: string, most = VALUE_BYTES): { readonly code: string } | { readonly value: string } {
  const value = name.trim().normalize('NFC');
  if (value === '') return { code: 'name' };
  return bytesOf(value) > most ? { code: 'name-too-long' } : { value };
}

/** The address with its domain in lower case, or why it is none. */
export function judgeEmail(email: string, most = VALUE_BYTES): { readonly code: string } | { readonly value: string } {
  const text = email.trim().normalize('NFC');
  if (!EMAIL.test(text) || bytesOf(text) > most) return { code: 'email' };
  const at = text.lastIndexOf('@');
  return { value: text.slice(0, at) + text.slice(at).toLowerCase() };
}

const CALLED_TO_PAY: ReadonlySet<string> = new Set(['PREMIUM_RATE', 'SHARED_COST', 'TOLL_FREE', 'UAN', 'VOICEMAIL']);

/** E.164 (ITU-T), or why it is no number of a person's phone. National numbers are read as of the region. */
export function judgeNumber(
  text: string,
  region: string,
  policy: NumberPolicy,
): { readonly code: string } | { readonly value: string } {
  const bare = text.trim();
  if (!NUMBER.test(bare)) return { code: 'mobile' };
  const from = isSupportedCountry(region) ? region : policy.region;
  const country = from !== undefined && isSupportedCountry(from) ? (from as CountryCode) : undefined;
  const number = parsePhoneNumber(
    bare,
    country === undefined ? { extract: false } : { defaultCountry: country, extract: false },
  );
  if (!number?.isPossible() || number.ext !== undefined) return { code: 'mobile' };
  const type = number.getType();
  if (type === undefined && policy.unknown === 'refuse') return { code: 'mobile-unknown' };
  if (type === 'FIXED_LINE' && policy.landlines === 'refuse') return { code: 'mobile-landline' };
  if (type !== undefined && CALLED_TO_PAY.has(type)) return { code: 'mobile-kind' };
  return { value: number.number };
}

/** Units stay in the clear: what looks like an address or a number does not belong there. */
export const unitFits = (unit: string): boolean =>
  unit.length <= 64 && !unit.includes('@') && !/[0-9][0-9 ()./-]{5,}[0-9]/.test(unit);

export const isCountry = (text: string): boolean => isSupportedCountry(text);

/** Reads one record, or says why not. */
export function judgeRow(record: CsvRecord, policy: NumberPolicy, columns: number): PlainPerson | RefusedLine {
  const refuse = (code: string): RefusedLine => ({ line: record.line, code });
  if (record.cells.length !== columns) return refuse('columns');
  for (const [column, cell] of record.cells.entries()) {
    if (FORMULA.test(cell) && !(HEADER[column] === 'mobile' && PLUS_NUMBER.test(cell))) return refuse('formula');
    if (/\p{Cc}|\p{Zl}|\p{Zp}/u.test(cell)) return refuse('control-character');
  }
  const [given, family, email, mobile, unit, memberState, externalId = ''] = record.cells.map((cell) =>
    cell.trim().normalize('NFC'),
  ) as [string, string, string, string, string, string, string?];
  if (given === '' || family === '') return refuse('name');
  const name = judgeName(`${given} ${family}`, policy.valueBytes);
  if ('code' in name) return refuse(name.code);
  const address = judgeEmail(email, policy.valueBytes);
  if ('code' in address) return refuse(address.code);
  if (memberState !== '' && !isSupportedCountry(memberState)) return refuse('member-state');
  if (!unitFits(unit)) return refuse('unit');
  const number = judgeNumber(mobile, memberState, policy);
  if ('code' in number) return refuse(number.code);
  if (externalId.length > 128 || (columns > HEADER.length && externalId === '')) return refuse('external-id');
  return { given, family, email: address.value, mobile: number.value, unit, memberState, externalId };
}

export type Judged = { readonly people: PlainPerson[] } | { readonly refused: RefusedLine[] };

/** A whole file: everybody in it, or every line that is wrong, by code, at most 1000. Never a value. */
export function judgeFile(text: string, policy: NumberPolicy, options: { readonly keys: boolean }): Judged {
  const judging = judgeLines(text, policy, options);
  for (;;) {
    const step = judging.next();
    if (step.done) return step.value;
  }
}

const LINES_A_STEP = 100;

/** The same in small steps, each yielding how many of how many lines are judged: a page stays alive between them. */
export function* judgeLines(
  text: string,
  policy: NumberPolicy,
  options: { readonly keys: boolean },
): Generator<readonly [done: number, all: number], Judged> {
  const { records, refused: broken } = parseCsv(text, MAX_ROWS + 1);
  const [header, ...body] = records;
  if (header === undefined) return { refused: [broken ?? { line: 1, code: 'empty' }] };
  const named = header.cells.join(',');
  const keyed = options.keys && named === [...HEADER, KEY_COLUMN].join(',');
  if (!keyed && named !== HEADER.join(',')) return { refused: [{ line: 1, code: 'header' }] };
  const columns = HEADER.length + (keyed ? 1 : 0);
  const people: PlainPerson[] = [];
  const refused: RefusedLine[] = broken === undefined ? [] : [broken];
  const [addresses, keys] = [new Set<string>(), new Set<string>()];
  for (const [n, record] of body.entries()) {
    if (n % LINES_A_STEP === 0) yield [n, body.length];
    const row = judgeRow(record, policy, columns);
    if ('code' in row) {
      refused.push(row);
      continue;
    }
    if (addresses.has(row.email.toLowerCase())) refused.push({ line: record.line, code: 'email-twice' });
    if (keyed && keys.has(row.externalId)) refused.push({ line: record.line, code: 'external-id-twice' });
    addresses.add(row.email.toLowerCase());
    keys.add(row.externalId);
    people.push(row);
  }
  if (refused.length > 0) return { refused: refused.sort((a, b) => a.line - b.line).slice(0, MOST_REFUSED) };
  return people.length === 0 ? { refused: [{ line: 1, code: 'empty' }] } : { people };
}
