import { call, query, send } from '../client.ts';

/** One comparison of a filter, or a combination of them; as the server checks it (see /api/fields). */
export type Filter =
  | { readonly all: readonly Filter[] }
  | { readonly any: readonly Filter[] }
  | { readonly not: Filter }
  | Condition;
export interface Condition {
  readonly field: string;
  readonly op: string;
  readonly value?: string | boolean | readonly string[];
}

export interface FieldInfo {
  readonly id: string;
  readonly label: string;
  readonly type: string;
  readonly choices: readonly string[] | null;
  readonly ops: readonly { readonly op: string; readonly value: string }[];
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly filter: Filter;
  readonly members: number;
  readonly createdBy: string;
  readonly changedAt: string;
  readonly refreshedAt: string | null;
  readonly inStep: boolean;
}

export const VERDICTS = ['failing', 'grace', 'unknown', 'compliant'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly group: string | null;
  readonly groupName: string | null;
  readonly condition: Filter;
  readonly graceHours: number;
  readonly judgedAt: string | null;
  readonly inStep: boolean;
  readonly counts: Readonly<Record<Verdict, number>>;
}

export interface Finding {
  readonly rule: string;
  readonly name: string;
  readonly device: string;
  readonly state: Verdict;
  readonly since: string;
  readonly graceUntil: string | null;
  readonly why: readonly string[];
}

export interface Desired {
  readonly kind: string;
  readonly key: string;
  readonly state: string;
  readonly why: string;
  readonly since: string | null;
}

export interface Standing {
  readonly groups: readonly { readonly id: string; readonly name: string; readonly since: string }[];
  readonly compliance: readonly Finding[];
  readonly desired: readonly Desired[];
}

export interface Change {
  readonly id: number;
  readonly kind: string;
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly at: string;
}

export interface WayOf {
  readonly uuid: string;
  readonly verb: string;
  readonly state: string;
  readonly steps: readonly {
    readonly step: string;
    readonly at: string;
    readonly detail: string | null;
    readonly gap: string | null;
  }[];
}

export type RetireWay = 'unenrol' | 'erase' | 'forget';
export interface Retirement {
  readonly id: string;
  readonly device: string;
  readonly way: RetireWay;
  readonly requester: string;
  readonly purpose: string;
  readonly state: string;
  readonly reason: string | null;
  readonly requestedAt: string;
  readonly notAfter: string;
  readonly confirmedAt: string | null;
  readonly confirmedBy: string | null;
  readonly revokedAt: string | null;
  readonly endedAt: string | null;
  readonly approval: string | null;
  readonly cancellable: boolean;
}

interface Items<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
type Get = AbortSignal | undefined;
const one = encodeURIComponent;
const get = <T>(path: string, signal?: Get) => call<T>(path, { signal: signal ?? null });

export const fleetApi = {
  fields: (signal?: Get) => get<{ fields: readonly FieldInfo[] }>('/fields', signal),
  groups: (signal?: Get) => get<Items<Group>>('/groups', signal),
  preview: (filter: Filter) =>
    send<{ count: number; sample: readonly string[] }>('POST', '/groups/preview', { filter }),
  saveGroup: (id: string | undefined, body: { name: string; filter: Filter }) =>
    send<Group>('POST', id === undefined ? '/groups' : `/groups/${one(id)}`, body),
  deleteGroup: (id: string) => send<void>('DELETE', `/groups/${one(id)}`),
  rules: (signal?: Get) => get<Items<Rule>>('/compliance', signal),
  saveRule: (
    id: string | undefined,
    body: { name: string; group: string | null; condition: Filter; graceHours: number },
  ) => send<{ id: string }>('POST', id === undefined ? '/compliance' : `/compliance/${one(id)}`, body),
  deleteRule: (id: string) => send<void>('DELETE', `/compliance/${one(id)}`),
  findings: (rule: string, state: Verdict, signal?: Get) =>
    get<Items<Finding>>(query(`/compliance/${one(rule)}/devices`, { state, limit: 50 }), signal),
  drift: (signal?: Get) =>
    get<Items<{ device: string; kind: string; key: string; state: string; since: string }>>('/drift?limit=50', signal),
  silence: (signal?: Get) =>
    get<Items<{ id: string; group: string | null; groupName: string | null; days: number }>>('/silence', signal),
  setSilence: (group: string | null, days: number | null) => send<void>('POST', '/silence', { group, days }),
  plans: (signal?: Get) => get<{ items: readonly { kind: string; hours: number }[] }>('/inventory/plans', signal),
  setPlan: (kind: string, hours: number) => send<void>('POST', '/inventory/plans', { kind, hours }),
  standing: (device: string, signal?: Get) => get<Standing>(`/devices/${one(device)}/standing`, signal),
  history: (device: string, signal?: Get) => get<Items<Change>>(`/devices/${one(device)}/history?limit=50`, signal),
  ways: (device: string, signal?: Get) => get<Items<WayOf>>(`/devices/${one(device)}/ways?limit=20`, signal),
  retirements: (filter: Readonly<Record<string, string | number | null>>, signal?: Get) =>
    get<Items<Retirement>>(query('/retirements', filter), signal),
  retirement: (id: string, signal?: Get) =>
    get<{ retirement: Retirement; cause: string; next: string }>(`/retirements/${one(id)}`, signal),
  retire: (body: { devices: readonly string[]; way: RetireWay; purpose: string }) =>
    send<{ ids: readonly string[]; approval: string | null }>('POST', '/retirements', body),
  cancelRetirement: (id: string) => send<{ cancelled: number }>('POST', `/retirements/${one(id)}/cancel`, {}),
  evidence: (id: string, form: 'md' | 'json') => `/retirements/evidence/${one(id)}.${form}`,
} as const;
