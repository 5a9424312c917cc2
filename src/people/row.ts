import parsePhoneNumber, { type CountryCode, isSupportedCountry } from 'libphonenumber-js/max';
import { Sealed } from '#base';
import type { CsvRecord, RefusedLine } from './csv.ts';

export const HEADER = ['given_name', 'family_name', 'email', 'mobile', 'unit', 'member_state'] as const;

/** One member of staff on the way to being sealed. */
export interface NewPerson {
  readonly given: Sealed<string>;
  readonly family: Sealed<string>;
  readonly email: Sealed<string>;
  /** E.164. */
  readonly mobile: Sealed<string>;
  /** In the clear, at most 64 characters; empty if not known. */
  readonly unit: string;
  /** ISO 3166-1 alpha-2, in the clear; empty if not known. */
  readonly memberState: string;
}

const FORMULA = /^[\s]*[=+\-@\t]/;
const PLUS_NUMBER = /^\+[0-9]{6,15}$/;
const MOBILE = /^[+(]?[0-9][0-9 ()./-]{4,24}$/;
const EMAIL = /^[^\s@"(),:;<>[\]\\]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?\.[a-z]{2,24}$/i;
/** A name is sealed in at most 126 bytes of UTF-8: given, space, family. */
const VALUE_BYTES = 126;

/** Reads one record, or says why not. */
export function readRow(record: CsvRecord): NewPerson | RefusedLine {
  const refuse = (code: string): RefusedLine => ({ line: record.line, code });
  if (record.cells.length !== HEADER.length) return refuse('columns');
  for (const [column, cell] of record.cells.entries()) {
    if (FORMULA.test(cell) && !(HEADER[column] === 'mobile' && PLUS_NUMBER.test(cell))) return refuse('formula');
    if (/\p{Cc}|\p{Zl}|\p{Zp}/u.test(cell)) return refuse('control-character');
  }
  const [given, family, email, mobile, unit, memberState] = record.cells.map((cell) =>
    cell.trim().normalize('NFC'),
  ) as [...[string, string, string, string, string, string]];
  if (given === '' || family === '') return refuse('name');
  if (Buffer.byteLength(`${given} ${family}`) > VALUE_BYTES) return refuse('name-too-long');
  if (!EMAIL.test(email) || Buffer.byteLength(email) > VALUE_BYTES) return refuse('email');
  if (memberState !== '' && !isSupportedCountry(memberState)) return refuse('member-state');
  // Units stay in the clear: what looks like an address or a number does not belong there.
  if (unit.length > 64 || unit.includes('@') || /[0-9][0-9 ()./-]{5,}[0-9]/.test(unit)) return refuse('unit');
  const e164 = normaliseNumber(mobile, memberState);
  if (e164 === undefined) return refuse('mobile');
  return {
    given: new Sealed(given),
    family: new Sealed(family),
    email: new Sealed(email),
    mobile: new Sealed(e164),
    unit,
    memberState,
  };
}

/** E.164, or undefined if it is no possible number. National numbers are read as of the member state. */
function normaliseNumber(text: string, memberState: string): string | undefined {
  if (!MOBILE.test(text)) return undefined;
  const country = isSupportedCountry(memberState) ? (memberState as CountryCode) : undefined;
  const number = parsePhoneNumber(
    text,
    country === undefined ? { extract: false } : { defaultCountry: country, extract: false },
  );
  return number?.isPossible() && number.ext === undefined ? number.number : undefined;
}
