import type { NumberPolicy } from '../../../src/people/judge.ts';
import type {
  Approvable,
  Assertion,
  BringShare,
  Caps,
  Change,
  EnrolKey,
  Grant,
  Leave,
  PublicKeys,
  Receipt,
  Role,
} from '../../../src/seal/messages.ts';
import type { Send } from '../../../src/seal/notices.ts';
import type { BreakGlass, CancelRaise, LockNow, Raise, RosterView } from '../../../src/seal/roster.ts';
import type { Dehydrate, Search, Searched } from '../../../src/seal/search-types.ts';
import type { LockKey, ThirdLock, ThirdState } from '../../../src/seal/third-types.ts';
import { exchange } from '../shared/problem.ts';
import type { SheetPage } from '../shared/sheet-page.ts';

/** What glass's own server publishes before anything else: whose keys to trust and which console may send people here. */
export interface Published {
  readonly keys: PublicKeys;
  /** The only origin to which a sign-in is sent back. */
  readonly console: string;
  /** Where devices enrol: links elsewhere are not sent. */
  readonly edge: string;
  /** What counts as a mobile number here. */
  readonly numbers?: NumberPolicy;
  /** The guards' limits, if the server knows them. */
  readonly caps?: Pick<Caps, 'perTouch'>;
}

/** What stands behind an address that a declaration names; all base64url. The address is its hash. */
export interface ShownData {
  readonly id: string;
  /** The whole address as the declaration names it. */
  readonly url: string;
  readonly type: string;
  readonly salt: string;
  readonly content: string;
}

export interface ApprovalView {
  /** The organisation's id, as messages name it. */
  readonly organisation: string;
  readonly document: Approvable;
  readonly state: string;
  readonly needs: number;
  readonly template?: string | null;
  readonly bodies?: readonly { readonly identifier: string; readonly body: string }[] | null;
  readonly data?: readonly ShownData[];
  readonly signatures: readonly { readonly admin: string; readonly at: string }[];
}

export const post = <T>(path: string, body: unknown) =>
  exchange<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

export const published = () => exchange<Published>('/api/keys');
export const approval = (id: string) => exchange<ApprovalView>(`/api/approvals/${encodeURIComponent(id)}`);
export const signApproval = (id: string, assertion: Assertion) =>
  post<{ state?: string }>(`/api/approvals/${encodeURIComponent(id)}/signatures`, { assertion });
export const enrolKey = (enrol: EnrolKey, assertion: Assertion) =>
  post<{ admin: string; role: Role }>('/api/enrol-key', { enrol, assertion });
export const askRelease = (grant: Grant, assertion: Assertion) =>
  post<{ receipt: Receipt }>('/api/release', { grant, assertion });
export const askSend = (message: Send, assertion: Assertion, box: string) =>
  post<{ id: string }>('/api/send', { message, assertion, box });
export const askReveal = (grant: Grant, assertion: Assertion, others: readonly Assertion[] = []) =>
  post<{ enc: string; ct: string; receipt: Receipt }>('/api/reveal', {
    ...{ grant, assertion },
    ...(others.length === 0 ? {} : { others }),
  });
export const cosignGrant = (grant: Grant, assertion: Assertion) =>
  post<{ admin: string }>('/api/cosign', { grant, assertion });
export const cosignatures = (grant: string) =>
  exchange<{ others: readonly Assertion[] }>(`/api/cosign/${encodeURIComponent(grant)}`);

/** What glass tells of the guards' roster; null while the ledger does not answer. */
export interface GlassRoster {
  readonly version: number;
  readonly threshold: number;
  readonly raises: readonly Raise[];
  readonly breakGlass: RosterView['breakGlass'];
  readonly caps: Caps;
}
export const roster = () => exchange<{ roster: GlassRoster | null }>('/api/roster').then((answer) => answer.roster);
export const lockAtOnce = (document: LockNow, assertion: Assertion) =>
  post<{ missing: readonly string[] }>('/api/lock', { document, assertion });
export const stopRaise = (document: CancelRaise, assertion: Assertion) =>
  post<{ missing: readonly string[] }>('/api/cancel-raise', { document, assertion });
export const openSealed = (document: BreakGlass, assertions: readonly Assertion[]) =>
  post<object>('/api/break-glass', { document, assertions });
export const askCancel = (document: Change, assertion: Assertion) =>
  post<object>('/api/change', { document, assertion });
export const askLeave = (document: Leave, assertion: Assertion) =>
  post<{ erased: number }>('/api/leave', { document, assertion });
export const askSheet = (token: string) =>
  post<{ handle: string; pages: readonly SheetPage[]; complete: boolean }>('/api/sheet', { token });

/** How many shares of the organisation's key are here and needed. */
export interface Shares {
  readonly none?: boolean;
  readonly have?: number;
  readonly need?: number;
  readonly complete?: boolean;
}
export const shares = () => exchange<Shares>('/api/key-shares');
export const bringShare = (document: BringShare, assertion: Assertion, share: string) =>
  post<Shares>('/api/key-shares', { document, assertion, share });

/** What can be searched, until when, and how far it is. */
export interface SearchState {
  /** To which questions are sealed: raw X25519, base64url. */
  readonly key: string;
  readonly searches: readonly {
    readonly field: Searched;
    readonly hours: number;
    readonly until?: number;
    readonly known?: number;
    readonly complete?: boolean;
    readonly waiting?: number;
  }[];
}
export const searchState = () => exchange<SearchState>('/api/search');
export const askSearch = (
  search: Search,
  assertion: Assertion,
  question: { readonly seq: number; readonly enc: string; readonly ct: string },
) => post<{ enc: string; ct: string; receipt: Receipt }>('/api/search', { search, assertion, ...question });
export const closeSearch = (document: Dehydrate, assertion: Assertion) =>
  post<object>('/api/search/end', { document, assertion });

/** How far an export is. */
export interface ExportState {
  readonly state: 'making' | 'done' | 'failed';
  readonly done: number;
  readonly people: number;
  readonly bytes?: number;
  readonly parts?: number;
  readonly sha256?: string;
  readonly why?: string;
}
export const exportState = (id: string) => exchange<ExportState>(`/api/export/${encodeURIComponent(id)}`);
export const exportPart = (id: string, n: number) =>
  exchange<{ part: string }>(`/api/export/${encodeURIComponent(id)}/${n}`);

export const thirdState = () => exchange<ThirdState>('/api/third');
export const pinLockKey = (document: LockKey, assertion: Assertion) =>
  post<object>('/api/lock-key', { document, assertion });
export const shareThird = (document: ThirdLock, assertion: Assertion) =>
  post<object>('/api/third-lock', { document, assertion });
