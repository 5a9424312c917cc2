import { call, query, send } from '../client.ts';
import type { Page } from '../model.ts';

export interface Consequence {
  readonly type: string;
  readonly kind: string;
  readonly says: string;
}

export interface PayloadChange {
  readonly type: string;
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly keys: readonly { readonly key: string; readonly before: string | null; readonly after: string | null }[];
}

export interface ProfileRow {
  readonly id: string;
  readonly identifier: string;
  readonly name: string;
  readonly versions: number;
  readonly storedAt: string;
  readonly storedBy: string;
  readonly devices: number;
  readonly groups: readonly string[];
  readonly rollout: { readonly id: string; readonly state: RolloutState } | null;
}

export interface DryRun {
  readonly identifier: string;
  readonly name: string;
  readonly profile: string | null;
  readonly replaces: number | null;
  readonly unchanged: boolean;
  readonly signed: boolean;
  readonly dangers: readonly Consequence[];
  readonly remarks: readonly string[];
  readonly changes: readonly PayloadChange[];
  readonly devices: number;
  readonly groups: readonly { readonly name: string; readonly members: number }[];
  readonly rings: readonly number[];
  readonly superseded: number;
}

export interface Version {
  readonly id: string;
  readonly number: number;
  readonly sha256: string;
  readonly signed: boolean;
  readonly storedBy: string;
  readonly storedAt: string;
  readonly devices: number;
}

export type RolloutState = 'running' | 'paused' | 'halted' | 'done' | 'cancelled';
export type RolloutKind = 'profile' | 'app' | 'set';
export type RolloutAct = 'pause' | 'resume' | 'skip' | 'cancel';

export interface Rollout {
  readonly id: string;
  readonly kind: RolloutKind;
  readonly subject: string;
  readonly name: string;
  readonly version: number | null;
  readonly plan: readonly { readonly percent: number; readonly atLeast: number; readonly soakHours: number }[];
  readonly maxErrorPercent: number;
  readonly requester: string;
  readonly purpose: string;
  readonly state: RolloutState;
  readonly ring: number;
  readonly ringAt: string;
  readonly soakUntil: string | null;
  readonly skipBy: string | null;
  readonly why: string | null;
  readonly facts: { readonly devices?: number; readonly sent?: number; readonly ok?: number; readonly failed?: number };
  readonly startedAt: string;
  readonly doneAt: string | null;
  readonly failures: readonly string[];
  readonly acts: readonly { readonly act: string; readonly by: string; readonly outcome: string | null }[];
}

/** Something that can be rolled out. */
export interface Subject {
  readonly kind: RolloutKind;
  readonly id: string;
  readonly name: string;
  readonly versions: readonly { readonly id: string; readonly number: number; readonly label: string | null }[];
  readonly groups: readonly string[];
  readonly twoPeople: boolean;
}

export interface ProfileDetail {
  readonly profile: ProfileRow;
  readonly versions: readonly Version[];
  readonly assignments: readonly {
    readonly id: string;
    readonly group: string | null;
    readonly name: string;
    readonly members: number;
    readonly by: string;
    readonly at: string;
  }[];
  readonly dangers: readonly Consequence[];
  readonly remarks: readonly string[];
  readonly xml: string;
  readonly rollouts: readonly Rollout[];
}

export interface WindowRow {
  readonly id: string;
  readonly group: string;
  readonly groupName: string;
  readonly timeZone: string;
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly minutes: number;
  readonly createdBy: string;
  readonly opensAt: string | null;
}

export interface Intent {
  readonly id: string;
  readonly verb: string;
  readonly risk: string;
  readonly requester: string;
  readonly purpose: string;
  readonly state: string;
  readonly reason: string | null;
  readonly createdAt: string;
  readonly notBefore: string | null;
  readonly heldBy: string | null;
  readonly heldWhy: string | null;
  readonly heldAt: string | null;
  readonly rollout: string | null;
  readonly devices: number | null;
  readonly commands: Readonly<Record<string, number>>;
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly members: number;
}

type Get = AbortSignal | undefined;
const one = encodeURIComponent;

export const rolloutsApi = {
  profiles: (signal?: Get) => call<Page<ProfileRow>>('/profiles', { signal: signal ?? null }),
  profile: (id: string, signal?: Get) => call<ProfileDetail>(`/profiles/${one(id)}`, { signal: signal ?? null }),
  dryRun: (body: { profile: string; signed?: boolean }) => send<DryRun>('POST', '/profiles/dry-run', body),
  store: (body: { profile: string; signed?: boolean }) =>
    send<{ profile: string; version: string; number: number }>('POST', '/profiles', body),
  diff: (profile: string, from: string | null, to: string, signal?: Get) =>
    call<{ changes: readonly PayloadChange[]; dangers: readonly Consequence[] }>(
      query(`/profiles/${one(profile)}/diff`, { from, to }),
      { signal: signal ?? null },
    ),
  assign: (profile: string, body: { group: string } | { device: string }) =>
    send<{ id: string }>('POST', `/profiles/${one(profile)}/assignments`, body),
  unassign: (assignment: string) => send<void>('DELETE', `/assignments/${one(assignment)}`),
  start: (profile: string, body: { version: string; purpose: string }) =>
    send<{ id: string }>('POST', `/profiles/${one(profile)}/rollouts`, body),
  subjects: (signal?: Get) => call<Page<Subject>>('/rollout-subjects', { signal: signal ?? null }),
  roll: (body: { kind: RolloutKind; subject: string; version?: string; purpose: string }) =>
    send<{ id: string }>('POST', '/rollouts', body),
  rollouts: (signal?: Get) => call<Page<Rollout>>('/rollouts', { signal: signal ?? null }),
  act: (rollout: string, act: RolloutAct) => send<void>('POST', `/rollouts/${one(rollout)}/acts`, { act }),
  windows: (signal?: Get) => call<Page<WindowRow>>('/windows', { signal: signal ?? null }),
  addWindow: (body: {
    group: string;
    timeZone: string;
    days: readonly number[];
    fromMinute: number;
    minutes: number;
  }) => send<{ id: string }>('POST', '/windows', body),
  removeWindow: (id: string) => send<void>('DELETE', `/windows/${one(id)}`),
  groups: (signal?: Get) => call<Page<Group>>('/groups', { signal: signal ?? null }),
  intents: (filter: Readonly<Record<string, string | number | null>>, signal?: Get) =>
    call<Page<Intent>>(query('/intents', filter), { signal: signal ?? null }),
  hold: (id: string, why: string) => send<void>('POST', `/intents/${one(id)}/hold`, { why }),
  release: (id: string) => send<void>('POST', `/intents/${one(id)}/release`, {}),
  cancel: (id: string) => send<void>('POST', `/intents/${one(id)}/cancel`, {}),
  cancelAll: (body: { requester?: string; verb?: string }) =>
    send<{ intents: number; commands: number }>('POST', '/intents/cancel', body),
} as const;
