import type { Json } from '#base';
import type { LogEvent } from '#log';
import type { Fields } from './detection.ts';
import type { CorrelationRule, Rule } from './rule.ts';

/** One thing that a rule saw. */
export interface Finding {
  readonly rule: Rule;
  readonly group: string;
  /** Start of the window this finding stands for, milliseconds of event time. */
  readonly windowStart: number;
  readonly events: number;
}

/** Flattens an event for rules: `kind`, `actor`, `device`, `subject`, `severity`, `source`, and `unmapped.*` of the body. */
export function fieldsOf(
  event: Pick<LogEvent, 'kind' | 'actor' | 'device' | 'subject' | 'source' | 'severity' | 'body'>,
): Fields {
  const fields = new Map<string, string | number | boolean>([
    ['kind', event.kind],
    ['source', event.source],
    ['severity', event.severity],
  ]);
  for (const name of ['actor', 'device', 'subject'] as const) {
    const value = event[name];
    if (value !== null) fields.set(name, value);
  }
  flatten(event.body['unmapped'] ?? null, 'unmapped', fields, 4);
  return fields;
}

function flatten(value: Json, path: string, into: Map<string, string | number | boolean>, depth: number): void {
  if (value === null || depth === 0) return;
  if (typeof value !== 'object') into.set(path, value);
  else if (Array.isArray(value)) into.set(`${path}.length`, value.length);
  else
    for (const [key, item] of Object.entries(value as Record<string, Json>))
      flatten(item, `${path}.${key}`, into, depth - 1);
}

interface Member {
  readonly time: number;
  readonly value: string | number;
}

/**
 * Runs rules over events in order. Correlation windows slide with event time; after firing, a group is quiet until its
 * window has passed, so that one burst is one alert. The state is what the last `longest` milliseconds of events make it.
 */
export class Engine {
  readonly #rules: readonly Rule[];
  readonly #windows = new Map<string, Member[]>();
  readonly #quietUntil = new Map<string, number>();
  /** The longest timespan of any rule, milliseconds: how far back a restart must read. */
  readonly longest: number;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.longest = Math.max(0, ...rules.map((rule) => (rule.kind === 'correlation' ? rule.timespan : 0)));
  }

  /** What the rules make of one event, at its own time (milliseconds). */
  see(fields: Fields, time: number): Finding[] {
    const matched = new Set<string>();
    const findings: Finding[] = [];
    for (const rule of this.#rules) {
      if (rule.kind === 'event') {
        if (!rule.match(fields)) continue;
        matched.add(rule.name);
        if (rule.alerts)
          findings.push({ rule, group: groupOf(fields, ['actor', 'device']), windowStart: time, events: 1 });
      } else if (rule.of.some((name) => matched.has(name))) {
        const finding = this.#correlate(rule, fields, time);
        if (finding !== undefined) findings.push(finding);
      }
    }
    return findings;
  }

  #correlate(rule: CorrelationRule, fields: Fields, time: number): Finding | undefined {
    const group = groupOf(fields, rule.groupBy);
    const key = `${rule.name}\n${group}`;
    const value = rule.field === undefined ? 1 : fields.get(rule.field);
    if (value === undefined) return undefined;
    const members = (this.#windows.get(key) ?? []).filter((member) => member.time > time - rule.timespan);
    members.push({ time, value: typeof value === 'boolean' ? String(value) : value });
    this.#windows.set(key, members);
    if (this.#windows.size > 100_000) this.#windows.delete(this.#windows.keys().next().value!);
    if ((this.#quietUntil.get(key) ?? 0) > time || !rule.holds(measure(rule, members))) return undefined;
    this.#quietUntil.set(key, time + rule.timespan);
    return { rule, group, windowStart: members[0]!.time, events: members.length };
  }
}

function measure(rule: CorrelationRule, members: readonly Member[]): number {
  if (rule.type === 'event_count') return members.length;
  if (rule.type === 'value_count') return new Set(members.map((member) => member.value)).size;
  return members.reduce((sum, member) => sum + Number(member.value), 0);
}

function groupOf(fields: Fields, names: readonly string[]): string {
  return names.map((name) => `${name}=${fields.get(name) ?? ''}`).join(' ');
}
