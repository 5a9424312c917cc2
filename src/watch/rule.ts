import { parse, parseAllDocuments } from 'yaml';
import { compileDetection, type Detection } from './detection.ts';
import { WatchError } from './error.ts';

export const LEVELS = ['informational', 'low', 'medium', 'high', 'critical'] as const;
export type Level = (typeof LEVELS)[number];

interface Head {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly level: Level;
  readonly tags: readonly string[];
}

/** Fires on each event that matches. */
export interface EventRule extends Head {
  readonly kind: 'event';
  readonly match: Detection;
  /** False if only a correlation asks for it. */
  readonly alerts: boolean;
}

/** Fires when the count of matching events, of distinct values, or their sum, meets the condition within the timespan. */
export interface CorrelationRule extends Head {
  readonly kind: 'correlation';
  readonly type: 'event_count' | 'value_count' | 'value_sum';
  readonly of: readonly string[];
  readonly groupBy: readonly string[];
  /** Milliseconds. */
  readonly timespan: number;
  readonly field: string | undefined;
  readonly holds: (value: number) => boolean;
}

export type Rule = EventRule | CorrelationRule;

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const HEAD = new Set([
  ...['title', 'id', 'name', 'status', 'description', 'references', 'author', 'date', 'modified', 'tags', 'level'],
  ...['falsepositives', 'logsource', 'detection', 'correlation', 'generate', 'fields', 'license'],
]);

/** Compiles a Sigma 2.1 file: one rule or correlation per YAML document. Throws WatchError naming the file. */
export function compileRules(text: string, file: string): Rule[] {
  const documents = parseAllDocuments(text);
  const rules = documents.map((document) => {
    if (document.errors.length > 0) throw new WatchError('bad-rule', `${file} is not YAML.`);
    try {
      return compileOne(document.toJS() as Record<string, unknown>);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : '';
      throw new WatchError('bad-rule', `${file}: ${why}`, { cause });
    }
  });
  const asked = new Set(rules.flatMap((rule) => (rule.kind === 'correlation' ? rule.of : [])));
  const generate = new Set(
    documents
      .map((d) => d.toJS() as Record<string, unknown>)
      .filter((d) => d['generate'] === true)
      .map((d) => d['name']),
  );
  return rules.map((rule) =>
    rule.kind === 'event' && asked.has(rule.name) && !generate.has(rule.name) ? { ...rule, alerts: false } : rule,
  );
}

function compileOne(rule: Record<string, unknown>): Rule {
  for (const key of Object.keys(rule)) if (!HEAD.has(key)) throw new WatchError('bad-rule', `unknown section '${key}'`);
  const level = LEVELS.find((one) => one === rule['level']);
  const { id, name, title } = rule;
  if (typeof id !== 'string' || typeof name !== 'string' || typeof title !== 'string' || level === undefined) {
    throw new WatchError('bad-rule', 'id, name, title and level are needed');
  }
  const head = { id, name, title, level, tags: (rule['tags'] as string[] | undefined) ?? [] };
  if (rule['correlation'] === undefined) {
    return {
      kind: 'event',
      ...head,
      match: compileDetection(rule['detection'] as Record<string, unknown>),
      alerts: true,
    };
  }
  return { kind: 'correlation', ...head, ...compileCorrelation(rule['correlation'] as Record<string, unknown>) };
}

function compileCorrelation(section: Record<string, unknown>): Omit<CorrelationRule, keyof Head | 'kind'> {
  const { type, rules, timespan, condition, field } = section;
  const groupBy = section['group-by'];
  if (type !== 'event_count' && type !== 'value_count' && type !== 'value_sum') {
    throw new WatchError('bad-rule', `the correlation type '${String(type)}' is not understood`);
  }
  const span = /^(\d{1,4})([smhd])$/.exec(String(timespan));
  if (
    !Array.isArray(rules) ||
    !Array.isArray(groupBy) ||
    span === null ||
    typeof condition !== 'object' ||
    condition === null
  ) {
    throw new WatchError('bad-rule', 'a correlation needs rules, group-by, timespan and condition');
  }
  if ((type !== 'event_count') !== (typeof field === 'string'))
    throw new WatchError('bad-rule', 'value correlations need a field');
  const tests = Object.entries(condition).map(([name, bound]): ((value: number) => boolean) => {
    if (typeof bound !== 'number') throw new WatchError('bad-rule', 'a condition compares with a number');
    switch (name) {
      case 'gt':
        return (value) => value > bound;
      case 'gte':
        return (value) => value >= bound;
      case 'lt':
        return (value) => value < bound;
      case 'lte':
        return (value) => value <= bound;
      case 'eq':
        return (value) => value === bound;
      default:
        throw new WatchError('bad-rule', `the comparison '${name}' is not understood`);
    }
  });
  return {
    type,
    of: rules as string[],
    groupBy: groupBy as string[],
    timespan: Number(span[1]) * UNITS[span[2]!]!,
    field: field as string | undefined,
    holds: (value) => tests.every((test) => test(value)),
  };
}

/** The labelled cases beside a rule: events and whether it must fire on them. */
export interface RuleCase {
  readonly name: string;
  readonly fires: boolean;
  /** Each with `after` milliseconds since the first; the other members are fields. */
  readonly events: readonly (Readonly<Record<string, string | number | boolean>> & { readonly after?: number })[];
}

export function parseCases(text: string): RuleCase[] {
  return (parse(text) as { cases: RuleCase[] }).cases;
}
