import { evaluate, type Facts } from '../groups/evaluate.ts';
import { FIELDS, type JoinName } from '../groups/fields.ts';
import { type Condition, type Filter, hoursOf } from '../groups/filter.ts';

const REPORT: Readonly<Partial<Record<JoinName, string>>> = {
  security: 'SecurityInfo',
  information: 'DeviceInformation',
  profiles: 'ProfileList',
  apps: 'InstalledApplicationList',
};

/**
 * Why a device does not meet a condition, one sentence for each comparison that stands in the way: those that fail, or
 * those that cannot be judged because nothing is known. Empty if it is met.
 */
export function explain(filter: Filter, facts: Facts, now: number, wanted = true): string[] {
  const found = evaluate(filter, facts, now);
  if (found === wanted) return [];
  if ('not' in filter) return explain(filter.not, facts, now, !wanted);
  if ('all' in filter || 'any' in filter) {
    const parts = 'all' in filter ? filter.all : filter.any;
    // A failing part weighs more than one that is not known.
    const failing = parts.filter((part) => evaluate(part, facts, now) === !wanted);
    const guilty = found === null || failing.length === 0 ? parts : failing;
    return [...new Set(guilty.flatMap((part) => explain(part, facts, now, wanted)))];
  }
  return [sentence(filter, facts, now, found, wanted)];
}

function sentence(one: Condition, facts: Facts, now: number, found: boolean | null, wanted: boolean): string {
  const field = FIELDS[one.field]!;
  if (found === null) {
    const report = field.joins.map((join) => REPORT[join]).find((name) => name !== undefined);
    const from = report === undefined ? 'nothing was reported' : `the device has not said it (${report})`;
    return `${field.label} is not known: ${from}.`;
  }
  const asked = `${wanted ? '' : 'not '}${words(one)}`;
  return `${field.label} is ${shown(one, facts[one.field], now)}; the rule asks for: ${asked}.`;
}

function shown({ field, value }: Condition, fact: Facts[string], now: number): string {
  const { type } = FIELDS[field]!;
  if (fact === null || fact === undefined) return 'not known';
  if (typeof fact === 'boolean') return fact ? 'yes' : 'no';
  if (type === 'list')
    return (fact as readonly string[]).includes(String(value)) ? `there (${value})` : `missing (${value})`;
  if (type === 'age') return `${span(now - Number(fact))} ago`;
  if (type === 'ahead')
    return Number(fact) < now ? `over since ${span(now - Number(fact))}` : `good for ${span(Number(fact) - now)}`;
  return type === 'presence' ? 'set' : String(fact);
}

/** Whole days from two days on, whole hours below. */
const span = (ms: number): string => {
  const hours = Math.floor(ms / 3_600_000);
  return hours >= 48 ? `${Math.floor(hours / 24)} days` : `${hours} ${hours === 1 ? 'hour' : 'hours'}`;
};

function words({ op, value }: Condition): string {
  const time = () => span(hoursOf(String(value)) * 3_600_000);
  switch (op) {
    case 'known':
    case 'unknown':
      return op;
    case 'within':
      return `within ${time()}`;
    case 'older':
      return `more than ${time()} ago`;
    case 'lasts':
      return `good for at least ${time()}`;
    case 'ends':
      return `over within ${time()}`;
    case 'lacks':
      return `no ${value}`;
    default: {
      const what =
        typeof value === 'boolean' ? (value ? 'yes' : 'no') : Array.isArray(value) ? value.join(' or ') : String(value);
      return op === 'is' || op === 'has' ? what : `${op.replace('-', ' ')} ${what}`;
    }
  }
}
