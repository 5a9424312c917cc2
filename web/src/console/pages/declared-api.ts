import { call, send } from '../client.ts';

export interface Declaration {
  readonly id: string;
  readonly identifier: string;
  readonly type: string;
  readonly origin: string;
  readonly version: number;
  readonly state: string;
  /** Devices get it only once two people signed. */
  readonly guarded: boolean;
  readonly reason: string | null;
  readonly author: string;
  readonly changedAt: string;
  readonly sets: readonly string[];
  readonly devices: number;
  readonly invalid: number;
  readonly inactive: number;
}

export interface Written {
  readonly identifier: string;
  readonly type: string;
  readonly payload: object;
  readonly unchecked: boolean;
}

export interface Checked {
  readonly problems: readonly { readonly path: string; readonly rule: string }[];
  readonly since: string | null;
  /** Devices that would be given it at once, and once two people have agreed; both exact. */
  readonly devices: number;
  readonly afterApproval: number;
  readonly tooOld: number;
  /** It says what the version that devices get says already. */
  readonly same: boolean;
  readonly guarded: boolean;
  readonly why: readonly ('dangerous' | 'unchecked')[];
}

/** A dry run of a set; all counts are exact, `join` and `leave` name the first 500. */
export interface SetPreview {
  readonly now: number;
  readonly then: number;
  readonly joining: number;
  readonly leaving: number;
  readonly join: readonly string[];
  readonly leave: readonly string[];
  readonly devices: number;
  readonly waiting: number;
}

export interface Particulars extends Declaration {
  readonly versions: readonly {
    readonly version: number;
    readonly payload: object;
    readonly state: string;
    readonly reason: string | null;
    readonly author: string;
    readonly createdAt: string;
  }[];
  readonly trouble: readonly { readonly device: string; readonly valid: string; readonly reasons: readonly string[] }[];
}

export interface StoredData {
  readonly url: string;
  readonly size: number;
  readonly sha256: string;
}

export interface DeclarationSet {
  readonly id: string;
  readonly name: string;
  readonly predicate: string | null;
  readonly everyone: boolean;
  readonly origin: string;
  readonly declarations: readonly { readonly id: string; readonly identifier: string }[];
  readonly groups: readonly { readonly id: string; readonly name: string }[];
  readonly devices: readonly string[];
  readonly reached: number;
  readonly missing: readonly string[];
  /** It goes out by a rollout alone, perhaps in place of another; null once that is done. */
  readonly rings: { readonly replaces: string | null } | null;
  /** Null if nothing of the set needs two people. */
  readonly permit: {
    readonly guarded: number;
    readonly waiting: number;
    readonly until: string | null;
    readonly approval: string | null;
  } | null;
}

export interface Scope {
  readonly id: string | null;
  readonly everyone: boolean;
  readonly groups: readonly string[];
  readonly devices: readonly string[];
}

export interface Standing {
  readonly upToDate: boolean;
  readonly reportedAt: string | null;
  readonly declarations: readonly {
    readonly kind: string;
    readonly identifier: string;
    readonly state: string;
    readonly why: string;
    readonly reasons: readonly string[];
    readonly since: string | null;
  }[];
}

export interface Updates {
  readonly plans: readonly {
    readonly id: string;
    readonly name: string;
    readonly groupName: string | null;
    readonly versions: readonly string[];
    readonly deadline: string;
    readonly endedAt: string | null;
    /** Why it cannot be turned into declarations; null if it can. */
    readonly fault: string | null;
    readonly wanted: number;
    readonly failed: number;
    readonly overdue: number;
  }[];
  readonly devices: readonly {
    readonly device: string;
    readonly model: string | null;
    readonly osVersion: string | null;
    readonly wanted: string;
    readonly deadline: string;
    readonly overdue: boolean;
    readonly plan: string;
    readonly state: string | null;
  }[];
  readonly releases: readonly { readonly version: string; readonly build: string; readonly models: number }[];
  readonly feed: { readonly source: string; readonly takenAt: string } | null;
}

export interface Target {
  readonly model: string;
  readonly devices: number;
  readonly version: string | null;
  readonly why: string | null;
  readonly behind: number;
}

type Get = AbortSignal | undefined;
const get = <T>(path: string, signal?: Get) => call<T>(path, { signal: signal ?? null });

export const declaredApi = {
  list: (signal?: Get) => get<{ items: readonly Declaration[] }>('/declarations', signal),
  one: (id: string, signal?: Get) => get<Particulars>(`/declarations/${id}`, signal),
  types: (signal?: Get) =>
    get<{
      items: readonly {
        readonly type: string;
        readonly since: string;
        readonly keys: readonly { readonly name: string; readonly needed: boolean }[];
      }[];
    }>('/declarations/types', signal),
  check: (body: Written) => send<Checked>('POST', '/declarations/check', body),
  store: (body: Written) => send<{ state: string; guarded: boolean }>('POST', '/declarations', body),
  remove: (id: string) => send<void>('POST', `/declarations/${id}/remove`, {}),
  storeData: (body: { name: string; contentType: string; content: string }) =>
    send<StoredData>('POST', '/declared-data', body),
  removeSet: (id: string) => send<void>('POST', `/declaration-sets/${id}/remove`, {}),
  sets: (signal?: Get) => get<{ items: readonly DeclarationSet[] }>('/declaration-sets', signal),
  preview: (set: Scope & { predicate?: string | null; declarations?: readonly string[] }) =>
    send<SetPreview>('POST', '/declaration-sets/preview', set),
  saveSet: (
    body: Scope & {
      name: string;
      predicate: string | null;
      declarations: readonly string[];
      rings?: { replaces: string | null };
    },
  ) => send<{ id: string }>('POST', '/declaration-sets', body),
  ask: (set: string, body: { purpose: string; days: number }) =>
    send<{ approval: string }>('POST', `/declaration-sets/${set}/approval`, body),
  standing: (device: string, signal?: Get) =>
    get<{ standing: Standing | null }>(`/devices/${encodeURIComponent(device)}/declared`, signal),
  updates: (signal?: Get) => get<Updates>('/software-updates', signal),
  previewUpdate: (body: { group: string | null; version: string | null }) =>
    send<{ models: readonly Target[] }>('POST', '/software-updates/preview', body),
  plan: (body: {
    name: string;
    group: string | null;
    version: string | null;
    deadline: string;
    detailsUrl: string | null;
  }) => send<{ id: string }>('POST', '/software-updates', body),
  feed: (feed: object) => send<{ releases: number }>('POST', '/software-updates/feed', { feed }),
  end: (id: string) => send<void>('POST', `/software-updates/${id}/end`, {}),
} as const;
