import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileRules, type Rule } from './rule.ts';

export const RULES_DIR = fileURLToPath(new URL('rules', import.meta.url));

/** All rules of a directory; event rules before the correlations that refer to them, across files. */
export function loadRules(dir: string = RULES_DIR): Rule[] {
  const rules = readdirSync(dir)
    .filter((name) => name.endsWith('.yml') && !name.endsWith('.test.yml'))
    .sort()
    .flatMap((name) => compileRules(readFileSync(join(dir, name), 'utf8'), name));
  return [...rules.filter((rule) => rule.kind === 'event'), ...rules.filter((rule) => rule.kind === 'correlation')];
}
