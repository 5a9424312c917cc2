import type { Facts } from './ddm.ts';

/**
 * The simple part of Apple's activation predicates (NSPredicate over status items): `(@status(path) OP literal)`, joined by
 * AND, OR and NOT with parentheses. OP is ==, !=, <, <=, >, >=, BEGINSWITH, CONTAINS; a literal is a text in quotes, a
 * number, TRUEPREDICATE or true and false. Throws SyntaxError for the rest: a device then calls the activation invalid.
 */
export function holds(predicate: string, facts: Facts): boolean {
  const tokens = [
    ...predicate.matchAll(/\s*(@status\([a-z0-9.-]+\)|'[^']*'|"[^"]*"|[()]|[=!<>]=|==|[<>]|[A-Za-z0-9_.]+)/gy),
  ];
  const words = tokens.map(([, word]) => word!);
  if (words.join('').length !== predicate.replace(/\s+(?=([^'"]*['"][^'"]*['"])*[^'"]*$)/g, '').length) {
    throw new SyntaxError('the predicate has characters that it cannot have');
  }
  let at = 0;
  const next = () => words[at++] ?? '';
  const either = (): boolean => {
    let value = both();
    while (/^(OR|\|\|)$/i.test(words[at] ?? '')) {
      at += 1;
      const right = both();
      value = value || right;
    }
    return value;
  };
  const both = (): boolean => {
    let value = single();
    while (/^(AND|&&)$/i.test(words[at] ?? '')) {
      at += 1;
      const right = single();
      value = value && right;
    }
    return value;
  };
  const single = (): boolean => {
    const word = next();
    if (/^NOT$/i.test(word)) return !single();
    if (word === 'TRUEPREDICATE') return true;
    if (word === 'FALSEPREDICATE') return false;
    if (word === '(') {
      const value = either();
      if (next() !== ')') throw new SyntaxError('a parenthesis stays open');
      return value;
    }
    const [, path] = /^@status\((.+)\)$/.exec(word) ?? [];
    if (path === undefined) throw new SyntaxError(`${word} is not understood`);
    return compare(facts[path], next(), literal(next()));
  };
  const result = either();
  if (at !== words.length) throw new SyntaxError('the predicate goes on after its end');
  return result;
}

function literal(word: string): string | number | boolean {
  if (/^['"]/.test(word)) return word.slice(1, -1);
  if (/^(true|YES)$/i.test(word)) return true;
  if (/^(false|NO)$/i.test(word)) return false;
  if (/^[0-9.]+$/.test(word)) return Number(word);
  throw new SyntaxError(`${word} is no value`);
}

function compare(left: unknown, operator: string, right: string | number | boolean): boolean {
  const sides = typeof right === 'number' ? [Number(left), right] : [left, right];
  const [a, b] = sides as [string, string];
  switch (operator.toUpperCase()) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case 'BEGINSWITH':
      return String(a ?? '').startsWith(b);
    case 'CONTAINS':
      return String(a ?? '').includes(b);
    default:
      throw new SyntaxError(`${operator} compares nothing`);
  }
}
