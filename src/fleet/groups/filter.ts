import { FleetError } from '../error.ts';
import { FIELDS, type Field, OPS } from './fields.ts';

/** One comparison. A span is `12h` or `30d`; `known` and `unknown` have no value. */
export interface Condition {
  readonly field: string;
  readonly op: string;
  readonly value?: string | boolean | readonly string[];
}

/**
 * A saved question about devices. Three-valued as SQL is: a comparison with a fact that nobody reported is unknown, and so
 * is its opposite; a device fits only where the whole is true.
 */
export type Filter =
  | { readonly all: readonly Filter[] }
  | { readonly any: readonly Filter[] }
  | { readonly not: Filter }
  | Condition;

const MOST_CONDITIONS = 50;
const DEEPEST = 6;
const MOST_VALUES = 100;
const LONGEST = 128;

export const VERSION = /^[0-9]{1,4}(\.[0-9]{1,4}){0,3}$/;
const SPAN = /^([1-9][0-9]{0,3})(h|d)$/;

/** Hours of a span such as `12h` or `30d`. */
export function hoursOf(span: string): number {
  const found = SPAN.exec(span);
  if (found === null) throw new FleetError('bad-filter', `'${span.slice(0, 12)}' is not a time such as 12h or 30d.`);
  return Number(found[1]) * (found[2] === 'd' ? 24 : 1);
}

const bad = (where: string, why: string): never => {
  throw new FleetError('bad-filter', `Filter${where === '' ? '' : `, ${where}`}: ${why}`);
};

/** Checks what came from outside. Throws FleetError `bad-filter` naming the place and the rule. */
export function parseFilter(value: unknown): Filter {
  const count = { conditions: 0 };
  const filter = read(value, '', 0, count);
  if (count.conditions === 0) bad('', 'it asks nothing. Give at least one condition.');
  return filter;
}

/** A filter as it stands in the database, where the console writes it; undefined if the checks do not let it pass. */
export function storedFilter(value: unknown): Filter | undefined {
  try {
    return parseFilter(value);
  } catch (error) {
    if (error instanceof FleetError) return undefined;
    throw error;
  }
}

function read(value: unknown, where: string, depth: number, count: { conditions: number }): Filter {
  if (depth > DEEPEST) bad(where, `it is nested more than ${DEEPEST} deep.`);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return bad(where, 'a condition or a group of them is needed here.');
  const keys = Object.keys(value);
  const given = value as Record<string, unknown>;
  for (const kind of ['all', 'any'] as const) {
    if (!(kind in given)) continue;
    const parts = given[kind];
    if (keys.length !== 1 || !Array.isArray(parts) || parts.length === 0)
      return bad(where, `'${kind}' holds a list of conditions and nothing stands beside it.`);
    const at = (i: number) => [where, `${kind} ${i + 1}`].filter((part) => part !== '').join(', ');
    const inner = parts.map((part, i) => read(part, at(i), depth + 1, count));
    return kind === 'all' ? { all: inner } : { any: inner };
  }
  if ('not' in given) {
    if (keys.length !== 1) return bad(where, `nothing stands beside 'not'.`);
    return { not: read(given['not'], [where, 'not'].filter((part) => part !== '').join(', '), depth + 1, count) };
  }
  count.conditions += 1;
  if (count.conditions > MOST_CONDITIONS) bad('', `it has more than ${MOST_CONDITIONS} conditions.`);
  return condition(given, where);
}

function condition(given: Record<string, unknown>, where: string): Condition {
  const { field: name, op, value, ...rest } = given;
  const field = typeof name === 'string' && Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  if (field === undefined || typeof name !== 'string')
    return bad(where, `there is no such field; there are: ${Object.keys(FIELDS).join(', ')}.`);
  const extra = Object.keys(rest)[0];
  if (extra !== undefined) return bad(where, `'${extra.slice(0, 32)}' is not part of a condition.`);
  const ops = OPS[field.type];
  if (typeof op !== 'string' || !Object.hasOwn(ops, op))
    return bad(where, `${name} can be compared with: ${Object.keys(ops).join(', ')}.`);
  const checked = valueFor(field, ops[op]!, value, `${where === '' ? '' : `${where}, `}${name} ${op}`);
  return checked === undefined ? { field: name, op } : { field: name, op, value: checked };
}

function valueFor(field: Field, needs: string, value: unknown, where: string): Condition['value'] {
  const text = (one: unknown): string => {
    if (
      typeof one !== 'string' ||
      one.length === 0 ||
      one.length > LONGEST ||
      one.includes('\0') ||
      !one.isWellFormed()
    )
      return bad(where, `the value is a text of 1 to ${LONGEST} characters.`);
    if (field.choices !== undefined && !field.choices.includes(one))
      return bad(where, `the value is one of: ${field.choices.join(', ')}.`);
    return one;
  };
  switch (needs) {
    case 'none':
      return value === undefined ? undefined : bad(where, 'it takes no value.');
    case 'yes-no':
      return typeof value === 'boolean' ? value : bad(where, 'the value is true or false.');
    case 'version':
      return typeof value === 'string' && VERSION.test(value)
        ? value
        : bad(where, 'the value is a version such as 18 or 18.1.2.');
    case 'span':
      return typeof value === 'string' && SPAN.test(value)
        ? value
        : bad(where, 'the value is a time such as 12h or 30d.');
    case 'texts':
      if (!Array.isArray(value) || value.length === 0 || value.length > MOST_VALUES)
        return bad(where, `the value is a list of 1 to ${MOST_VALUES} texts.`);
      return value.map(text);
    default:
      return text(value);
  }
}

/** Whether the answer can change without a mark: by time alone, or by an owner's word, which is rare and leaves none. */
export function isTimed(filter: Filter): boolean {
  if ('all' in filter) return filter.all.some(isTimed);
  if ('any' in filter) return filter.any.some(isTimed);
  if ('not' in filter) return isTimed(filter.not);
  return filter.field === 'ownership' || OPS[FIELDS[filter.field]!.type][filter.op] === 'span';
}

/** Its conditions, in order. */
export function conditionsOf(filter: Filter): readonly Condition[] {
  if ('all' in filter) return filter.all.flatMap(conditionsOf);
  if ('any' in filter) return filter.any.flatMap(conditionsOf);
  return 'not' in filter ? conditionsOf(filter.not) : [filter];
}
