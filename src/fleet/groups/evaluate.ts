import { compareVersions } from '#wire';
import { FIELDS } from './fields.ts';
import { type Condition, type Filter, hoursOf, VERSION } from './filter.ts';

/** What is known of one device, by field; what is missing or null is unknown. Times are milliseconds. */
export type Facts = Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>;

/** A filter over facts at hand, as `compileFilter` over the database: true, false or null (unknown). */
export function evaluate(filter: Filter, facts: Facts, now: number): boolean | null {
  if ('all' in filter) return conjunction(filter.all.map((part) => evaluate(part, facts, now)));
  if ('any' in filter) return not(conjunction(filter.any.map((part) => not(evaluate(part, facts, now)))));
  if ('not' in filter) return not(evaluate(filter.not, facts, now));
  return compare(filter, facts[filter.field] ?? null, now);
}

const not = (value: boolean | null): boolean | null => (value === null ? null : !value);

function conjunction(values: readonly (boolean | null)[]): boolean | null {
  if (values.includes(false)) return false;
  return values.includes(null) ? null : true;
}

const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** Negative, zero or positive, as versions are ordered: 18 = 18.0 < 18.0.1 < 18.10; null if one is no version. */
export const versionOrder = (a: string, b: string): number | null =>
  VERSION.test(a) && VERSION.test(b) ? compareVersions(a, b) : null;

function compare({ field, op, value }: Condition, fact: Facts[string], now: number): boolean | null {
  const { type } = FIELDS[field]!;
  const isKnown = fact !== null && fact !== undefined && (type !== 'version' || VERSION.test(String(fact)));
  if (op === 'known') return isKnown;
  if (op === 'unknown') return !isKnown;
  if (!isKnown) return null;
  switch (type) {
    case 'version': {
      const by = versionOrder(String(fact), String(value))!;
      if (op === 'is') return by === 0;
      if (op === 'at-least') return by >= 0;
      if (op === 'at-most') return by <= 0;
      return op === 'above' ? by > 0 : by < 0;
    }
    case 'yes-no':
      return fact === value;
    case 'age': {
      const since = now - hoursOf(String(value)) * 3_600_000;
      return op === 'within' ? Number(fact) > since : Number(fact) <= since;
    }
    case 'ahead': {
      const until = now + hoursOf(String(value)) * 3_600_000;
      return op === 'lasts' ? Number(fact) >= until : Number(fact) < until;
    }
    case 'list': {
      const has = (fact as readonly string[]).includes(String(value));
      return op === 'has' ? has : !has;
    }
    default: {
      const text = String(fact);
      if (op === 'one-of') return (value as readonly string[]).includes(text);
      if (op === 'starts') return lower(text).startsWith(lower(String(value)));
      if (op === 'contains') return lower(text).includes(lower(String(value)));
      return op === 'is' ? text === value : text !== value;
    }
  }
}
