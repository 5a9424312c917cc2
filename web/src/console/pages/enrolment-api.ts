import { call, query, send } from '../client.ts';
import type { Page } from '../model.ts';

export const LINK_STATES = ['offered', 'opened', 'used', 'expired', 'revoked'] as const;
export type LinkState = (typeof LINK_STATES)[number];
export type IdentityKind = 'scep' | 'acme' | 'acme-attested';
export type Ownership = 'organisation' | 'personal';

export interface EnrolmentLink {
  readonly id: string;
  readonly device: string;
  readonly holder: string | null;
  readonly ownership: Ownership;
  readonly identity: IdentityKind;
  readonly state: LinkState;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly openedAt: string | null;
  readonly usedAt: string | null;
  readonly revokedAt: string | null;
}

/** A link as it is shown once. */
export interface MadeLink {
  readonly device: string;
  readonly holder: string | null;
  readonly ownership: Ownership;
  readonly expiresAt: string;
  readonly link: string;
}

/** What became of a list of serial numbers and holders. */
export interface HoldersDone {
  readonly given: number;
  readonly same: number;
  readonly waits: number;
  readonly own: readonly string[];
  readonly refused: readonly { readonly line: number; readonly why: string }[];
  readonly nobody: readonly string[];
}

type Get = AbortSignal | undefined;

export const enrolmentApi = {
  links: (filter: Readonly<Record<string, string | number | null>>, signal?: Get) =>
    call<Page<EnrolmentLink> & { counts: Readonly<Record<string, number>> }>(query('/enrolments', filter), {
      signal: signal ?? null,
    }),
  make: (body: { holders: readonly (string | null)[]; ownership: Ownership; identity: string; days: number }) =>
    send<{ items: readonly MadeLink[] }>('POST', '/enrolments', body),
  policy: (signal?: Get) =>
    call<{ identity: IdentityKind; roots: readonly { name: string }[] }>('/identity-policy', {
      signal: signal ?? null,
    }),
  revoke: (id: string) => send<void>('POST', `/enrolments/${encodeURIComponent(id)}/revoke`, {}),
  nameHolders: (csv: string) => send<HoldersDone>('POST', '/ade/holders', { csv }),
  giveHolder: (device: string, holder: string | null) =>
    send<void>('POST', `/devices/${encodeURIComponent(device)}/holder`, { holder }),
  markPersonal: (device: string) => send<void>('POST', `/devices/${encodeURIComponent(device)}/personal`, {}),
} as const;
