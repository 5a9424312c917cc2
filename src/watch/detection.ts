import { type Condition, compileCondition, fits } from './condition.ts';
import { WatchError } from './error.ts';

/** An event as rules see it: dotted names to plain values. */
export type Fields = ReadonlyMap<string, string | number | boolean>;
export type Detection = (event: Fields) => boolean;
type Test = (event: Fields) => boolean;

const MODIFIERS = new Set([
  'contains',
  'startswith',
  'endswith',
  'all',
  'exists',
  'cased',
  'gt',
  'gte',
  'lt',
  'lte',
  'neq',
]);

/** Compiles the `detection` section of a Sigma rule. Unknown modifiers and shapes throw WatchError. */
export function compileDetection(detection: Readonly<Record<string, unknown>>): Detection {
  const { condition, ...searches } = detection;
  if (typeof condition !== 'string') throw new WatchError('bad-rule', 'A detection needs one condition.');
  const compiled = new Map(Object.entries(searches).map(([name, search]) => [name, compileSearch(search)]));
  const decide: Condition = compileCondition(condition, [...compiled.keys()]);
  return (event) => decide((name) => compiled.get(name)!(event));
}

function compileSearch(search: unknown): Test {
  if (Array.isArray(search)) {
    const any = search.map((one) => compileSearch(one));
    return (event) => any.some((test) => test(event));
  }
  if (search === null || typeof search !== 'object') {
    throw new WatchError('bad-rule', 'A search is a map of fields, or a list of such maps.');
  }
  const all = Object.entries(search).map(([key, value]) => compileField(key, value));
  return (event) => all.every((test) => test(event));
}

function compileField(key: string, wanted: unknown): Test {
  const [field, ...modifiers] = key.split('|') as [string, ...string[]];
  for (const modifier of modifiers) {
    if (!MODIFIERS.has(modifier)) throw new WatchError('bad-rule', `The modifier '${modifier}' is not understood.`);
  }
  if (modifiers.includes('exists')) return (event) => event.has(field) === (wanted === true);
  const values = Array.isArray(wanted) ? wanted : [wanted];
  const tests = values.map((value) => compileValue(value, modifiers));
  const every = modifiers.includes('all');
  return (event) => {
    const actual = event.get(field);
    return every ? tests.every((test) => test(actual)) : tests.some((test) => test(actual));
  };
}

function compileValue(
  wanted: unknown,
  modifiers: readonly string[],
): (actual: string | number | boolean | undefined) => boolean {
  for (const [name, compare] of Object.entries(ORDER)) {
    if (!modifiers.includes(name)) continue;
    if (typeof wanted !== 'number') throw new WatchError('bad-rule', `The modifier '${name}' needs a number.`);
    return (actual) => typeof actual === 'number' && compare(actual, wanted);
  }
  if (wanted === null) return (actual) => actual === undefined;
  if (typeof wanted !== 'string') {
    const equal = (actual: unknown) => actual === wanted;
    return modifiers.includes('neq') ? (actual) => !equal(actual) : equal;
  }
  const fold = modifiers.includes('cased') ? (text: string) => text : (text: string) => text.toLowerCase();
  let parts = wildcard(fold(wanted));
  if (modifiers.includes('contains')) parts = ['', ...parts, ''];
  if (modifiers.includes('startswith')) parts = [...parts, ''];
  if (modifiers.includes('endswith')) parts = ['', ...parts];
  const match = (actual: unknown) => actual !== undefined && fits(fold(String(actual)), parts);
  return modifiers.includes('neq') ? (actual) => !match(actual) : match;
}

const ORDER: Record<string, (a: number, b: number) => boolean> = {
  gte: (a, b) => a >= b,
  lte: (a, b) => a <= b,
  gt: (a, b) => a > b,
  lt: (a, b) => a < b,
};

/** `*` matches anything; `\*` is a star. `?` is not offered and refused. */
function wildcard(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < text.length; at += 1) {
    const next = text[at + 1];
    if (text[at] === '\\' && (next === '*' || next === '\\' || next === '?')) {
      part += next;
      at += 1;
    } else if (text[at] === '*') {
      parts.push(part);
      part = '';
    } else if (text[at] === '?') throw new WatchError('bad-rule', "The wildcard '?' is not understood here.");
    else part += text[at];
  }
  return [...parts, part];
}
