import type { Field } from './messages.ts';

/** What can be searched by: names by fold and scan, numbers exactly. */
export const SEARCHED = ['name', 'number'] as const satisfies readonly Field[];
export type Searched = (typeof SEARCHED)[number];

/** Most hits of one answer. */
export const MOST_HITS = 10;
/** Evaluations of the numbers' function per admin and sliding hour, found or not. */
export const EVALUATIONS_PER_HOUR = 60;
/** A query before it is sealed: 2-byte length, UTF-8, zeros, so that all are of one size. */
export const QUERY_BYTES = 128;
/** What a query is sealed for: HPKE, authenticated by the key of the browser that the grant names. */
export const QUERY_INFO = 'bartizan search v1';
/** What an answer is sealed for. */
export const ANSWER_INFO = 'bartizan search answer v1';

/**
 * Opens the search: names enter the sealer's memory, or numbers become tags at the ledger, and whoever is new joins them
 * until the hours are over. Two signatures.
 */
export interface Hydrate {
  readonly v: 1;
  readonly op: 'hydrate';
  readonly id: string;
  readonly field: Searched;
  readonly hours: number;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Ends it at once: names leave the memory, tags are deleted. One touch of an administrator. */
export interface Dehydrate {
  readonly v: 1;
  readonly op: 'dehydrate';
  readonly id: string;
  readonly admin: string;
  readonly field: Searched;
  readonly notAfter: number;
}

/**
 * One touch, several questions: who may search by what for ten minutes, how much in all, and the key that only the asking
 * browser holds. Questions come sealed and authenticated by that key; answers are sealed to it.
 */
export interface Search {
  readonly v: 1;
  readonly op: 'search';
  readonly id: string;
  readonly admin: string;
  readonly field: Searched;
  /** Names shown, or numbers tried, under this touch: at most the per-touch cap. A question that finds nobody counts one. */
  readonly cap: number;
  readonly purpose: string;
  readonly notAfter: number;
  /** Raw X25519, 32 bytes. */
  readonly browserKey: string;
}

/** What an answer holds, once opened: canonical JSON, padded with spaces to a multiple of 4096 bytes. */
export interface Found {
  readonly seq: number;
  /** `name` only when names were searched. */
  readonly hits: readonly { readonly subject: string; readonly name?: string }[];
  /** More people match than are shown. */
  readonly more: boolean;
  /** What is left under this touch, and today or this hour for this admin. */
  readonly left: { readonly touch: number; readonly admin: number };
}
