import type { Json } from '#base';
import type { LogEvent } from '#log';
import type { Fields } from './detection.ts';
import type { CorrelationRule, Rule } from './rule.ts';
import { Window } from './window.ts';

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

/** Groups remembered at once, over all rules; beyond it the one not seen for longest is forgotten. */
const MOST_GROUPS = 100_000;

interface Group {
  readonly window: Window;
  /** Event time of the last finding. */
  firedAt: number | undefined;
}

/**
 * Runs rules over events in order. Correlation windows slide with event time; after firing, a group is quiet for its
 * timespan, so that one burst is one alert.
 */
export class Engine {
  readonly #rules: readonly Rule[];
  readonly #groups = new Map<string, Group>();
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

  /** Forgets when groups fired last; their windows stay. */
  forgetFindings(): void {
    for (const group of this.#groups.values()) group.firedAt = undefined;
  }

  /** Says that a rule fired for a group at this event time, as the alerts remember it after a restart. */
  fired(rule: string, group: string, time: number): void {
    const known = this.#rules.find((one) => one.name === rule);
    if (known?.kind === 'correlation') this.#group(known, group).firedAt = time;
  }

  #correlate(rule: CorrelationRule, fields: Fields, time: number): Finding | undefined {
    const key = groupOf(fields, rule.groupBy);
    const value = rule.field === undefined ? 1 : fields.get(rule.field);
    if (value === undefined) return undefined;
    const group = this.#group(rule, key);
    const { window, firedAt } = group;
    window.add({ time, value: typeof value === 'boolean' ? String(value) : value });
    if (firedAt !== undefined && Math.abs(time - firedAt) < rule.timespan) return undefined;
    if (!rule.holds(measure(rule, window))) return undefined;
    group.firedAt = time;
    return { rule, group: key, windowStart: window.start, events: window.count };
  }

  #group(rule: CorrelationRule, key: string): Group {
    const name = `${rule.name}\n${key}`;
    const group = this.#groups.get(name) ?? { window: new Window(rule.timespan), firedAt: undefined };
    this.#groups.delete(name);
    this.#groups.set(name, group);
    if (this.#groups.size > MOST_GROUPS) this.#groups.delete(this.#groups.keys().next().value!);
    return group;
  }
}

function measure(rule: CorrelationRule, window: Window): number {
  if (rule.type === 'event_count') return window.count;
  return rule.type === 'value_count' ? window.distinct : window.sum;
}

function groupOf(fields: Fields, names: readonly string[]): string {
  return names.map((name) => `${name}=${fields.get(name) ?? ''}`).join(' ');
}
