import { WatchError } from './error.ts';

/** A condition (Sigma 2.1, section Condition): decides from the verdicts of the named searches. */
export type Condition = (verdict: (search: string) => boolean) => boolean;

/**
 * Compiles `and`, `or`, `not`, parentheses, `1 of`, `all of` with `them` or a name pattern. `names` are the searches of
 * the detection; `them` leaves out those that begin with an underscore. Throws WatchError.
 */
export function compileCondition(text: string, names: readonly string[]): Condition {
  const tokens = text.match(/\(|\)|[^\s()]+/g) ?? [];
  let at = 0;
  const bad = (what: string): never => {
    throw new WatchError('bad-rule', `The condition '${text}' ${what}.`);
  };
  const either = (): Condition => {
    let left = both();
    while (tokens[at]?.toLowerCase() === 'or') {
      at += 1;
      const [a, b] = [left, both()];
      left = (verdict) => a(verdict) || b(verdict);
    }
    return left;
  };
  const both = (): Condition => {
    let left = unary();
    while (tokens[at]?.toLowerCase() === 'and') {
      at += 1;
      const [a, b] = [left, unary()];
      left = (verdict) => a(verdict) && b(verdict);
    }
    return left;
  };
  const unary = (): Condition => {
    const token = tokens[at++] ?? bad('ends too early');
    if (token.toLowerCase() === 'not') {
      const inner = unary();
      return (verdict) => !inner(verdict);
    }
    if (token === '(') {
      const inner = either();
      if (tokens[at++] !== ')') bad('lacks a closing parenthesis');
      return inner;
    }
    if ((token === '1' || token.toLowerCase() === 'all') && tokens[at]?.toLowerCase() === 'of') {
      at += 1;
      const chosen = matching(tokens[at++] ?? bad('ends too early'));
      if (chosen.length === 0) bad('names no search');
      return token === '1' ? (verdict) => chosen.some(verdict) : (verdict) => chosen.every(verdict);
    }
    if (!names.includes(token)) bad(`names an unknown search: ${token}`);
    return (verdict) => verdict(token);
  };
  const matching = (pattern: string): readonly string[] => {
    if (pattern === 'them') return names.filter((name) => !name.startsWith('_'));
    const parts = pattern.split('*');
    return names.filter((name) => fits(name, parts));
  };
  const compiled = either();
  if (at !== tokens.length) bad(`is not understood at '${tokens[at]}'`);
  return compiled;
}

/** True if `text` consists of the parts with anything between them. */
export function fits(text: string, parts: readonly string[]): boolean {
  if (parts.length === 1) return text === parts[0];
  const [head, tail] = [parts[0]!, parts.at(-1)!];
  if (!text.startsWith(head) || !text.endsWith(tail) || text.length < head.length + tail.length) return false;
  let at = head.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > text.length - tail.length) return false;
    at = found + part.length;
  }
  return true;
}
