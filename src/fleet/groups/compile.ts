import { FIELDS, JOINS, type JoinName } from './fields.ts';
import { type Condition, conditionsOf, type Filter, hoursOf } from './filter.ts';

/** A filter as SQL over `fleet.device d`; values travel as parameters, never in the text. */
export interface Compiled {
  /** What stands after `from fleet.device d`. */
  readonly joins: string;
  /** True, false or null. */
  readonly where: string;
  readonly params: readonly unknown[];
}

/** Upper and lower case of ASCII only, so that the database's locale does not matter. */
const lower = (sql: string) => `lower(${sql} collate "C")`;

/** Compiles a checked filter. Its parameters are numbered from `first`. */
export function compileFilter(filter: Filter, first = 1): Compiled {
  const params: unknown[] = [];
  const put = (value: unknown, type: string): string => {
    params.push(value);
    return `$${first + params.length - 1}::${type}`;
  };
  const walk = (part: Filter): string => {
    if ('all' in part) return `(${part.all.map(walk).join(' and ')})`;
    if ('any' in part) return `(${part.any.map(walk).join(' or ')})`;
    if ('not' in part) return `not ${walk(part.not)}`;
    return `(${comparison(part, put)})`;
  };
  const where = walk(filter);
  return { joins: joinsFor(conditionsOf(filter).map(({ field }) => field)), where, params };
}

/** The joins that some facts need, each once. */
export function joinsFor(fields: readonly string[]): string {
  const names = new Set<JoinName>(fields.flatMap((field) => FIELDS[field]!.joins));
  return [...names].map((name) => JOINS[name]).join(' ');
}

const COMPARE: Readonly<Record<string, string>> = { 'at-least': '>=', 'at-most': '<=', above: '>', below: '<' };

function comparison({ field: name, op, value }: Condition, put: (value: unknown, type: string) => string): string {
  const field = FIELDS[name]!;
  const sql = `(${field.sql})`;
  if (op === 'known') return `${field.type === 'version' ? `fleet.version_key${sql}` : sql} is not null`;
  if (op === 'unknown') return `${field.type === 'version' ? `fleet.version_key${sql}` : sql} is null`;
  switch (field.type) {
    case 'version':
      return `fleet.version_key${sql} ${op === 'is' ? '=' : COMPARE[op]} fleet.version_key(${put(value, 'text')})`;
    case 'yes-no':
      return `${sql} = ${put(value, 'boolean')}`;
    case 'age':
      return `${sql} ${op === 'within' ? '>' : '<='} now() - make_interval(hours => ${put(hoursOf(String(value)), 'integer')})`;
    case 'ahead':
      return `${sql} ${op === 'lasts' ? '>=' : '<'} now() + make_interval(hours => ${put(hoursOf(String(value)), 'integer')})`;
    case 'list': {
      const has = `(${field.has!.replace('$::text', put(value, 'text'))})`;
      return op === 'has' ? has : `not ${has}`;
    }
    default:
      if (op === 'one-of') return `${sql} = any(${put(value, 'text[]')})`;
      if (op === 'starts') return `starts_with(${lower(sql)}, ${lower(put(value, 'text'))})`;
      if (op === 'contains') return `position(${lower(put(value, 'text'))} in ${lower(sql)}) > 0`;
      return `${sql} ${op === 'is' ? '=' : '<>'} ${put(value, 'text')}`;
  }
}
