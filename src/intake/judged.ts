import { Sealed } from '#base';
import { isCountry, judgeEmail, judgeName, judgeNumber, unitFits } from '#people';
import { type Field, THIRD_BYTES } from '#seal';
import { invalidValue, type UserChange } from '#wire';
import type { IntakeDoors } from './doors.ts';

/** What of a person is sealed; the three that each person has from the start. */
export type PersonField = Extract<Field, 'name' | 'number' | 'email'>;
export const PERSON_FIELDS: readonly PersonField[] = ['name', 'number', 'email'];

/** A change by our rules: values normalised and out of sight, the rest in the clear. */
export interface Judged {
  readonly values: ReadonlyMap<PersonField, Sealed<string>>;
  /** Undefined: not spoken of. Empty: taken away. */
  readonly unit: string | undefined;
  readonly state: string | undefined;
}

const WHY: Readonly<Record<string, string>> = {
  name: 'A name may not be empty.',
  'name-too-long': 'A name may have at most 126 bytes in UTF-8, 76 under the third lock.',
  email: 'An e-mail address is not one.',
  mobile: 'A mobile number is no possible number. Send it as E.164 (+ and country).',
  'mobile-landline': 'A mobile number is one of a fixed line.',
  'mobile-kind': 'A mobile number is one that charges or serves many.',
  'mobile-unknown': 'A mobile number belongs to no range of its numbering plan.',
};

/**
 * Judges what a provider said by the rules of imports. `whole`: what was not said is taken away (POST, PUT). A value that is
 * taken away is sealed as an empty one, so that no row shows who has none. Throws ScimRefusal `invalidValue`.
 */
export function judgeChange({ numbers, keys }: IntakeDoors, change: UserChange, whole: boolean): Judged {
  const values = new Map<PersonField, Sealed<string>>();
  const keep = (field: PersonField, judged: { readonly code: string } | { readonly value: string }) => {
    if ('code' in judged) throw invalidValue(`${judged.code}: ${WHY[judged.code] ?? 'This value is not taken.'}`);
    values.set(field, new Sealed(judged.value));
  };
  const most = keys.third === undefined ? undefined : THIRD_BYTES;
  const none = { value: '' };
  const state = change.country ?? undefined;
  if (typeof state === 'string' && !isCountry(state)) throw invalidValue('A country is not one of ISO 3166-1.');

  const name = nameIn(change, whole);
  if (name !== undefined) keep('name', name === '' ? none : judgeName(name, most));
  else if (whole) keep('name', none);
  if (typeof change.email === 'string') keep('email', judgeEmail(change.email, most));
  else if (whole || change.email === null) keep('email', none);
  if (typeof change.mobile === 'string') keep('number', judgeNumber(change.mobile, state ?? '', numbers));
  else if (whole || change.mobile === null) keep('number', none);

  // Units stay in the clear. A department that looks like an address or a number is not kept, and keeps nobody out.
  const fits = typeof change.department === 'string' && unitFits(change.department);
  const unit = fits ? (change.department ?? '') : whole || change.department !== undefined ? '' : undefined;
  return { values, unit, state: change.country === null ? '' : (state ?? (whole ? '' : undefined)) };
}

/**
 * The name that a change makes. Half a name cannot be joined to the other half, which nobody here can read: it is refused,
 * unless the whole stands beside it.
 */
function nameIn({ given, family, formatted, displayName }: UserChange, whole: boolean): string | undefined {
  if (typeof given === 'string' && typeof family === 'string') return `${given} ${family}`;
  const spoken = [formatted, displayName].find((one) => typeof one === 'string');
  if (typeof spoken === 'string') return spoken;
  const half = given ?? family;
  if (typeof half === 'string') {
    if (whole) return half;
    throw invalidValue(
      'name: Send given and family name together, or displayName: what is stored cannot be read here.',
    );
  }
  return [given, family, formatted, displayName].some((one) => one === null) ? '' : undefined;
}
