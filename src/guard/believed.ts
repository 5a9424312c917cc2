import { toBase64url } from '#base';
import {
  challengeOf,
  FIELDS,
  type Grant,
  GuardError,
  LOCK_SCOPES,
  type Receipt,
  SEARCHED,
  type SealedRow,
  shape,
  verifyReceipt,
} from '#seal';
import type { Recent } from './meters.ts';
import { handle } from './shapes.ts';
import type { Effect } from './state.ts';
import { DAY } from './time.ts';

const { base64url, integer, list, object, oneOf, text } = shape;

/** What the ledger answers to `open`, as the sealer takes it. */
export interface Opened {
  readonly inner: readonly { readonly subject: string; readonly inner: string }[];
  readonly receipt: Receipt;
}

const MOST_ROWS = 1_000;
const MOST_INNER_BYTES = 8 * 1024;
const openedInner = list(object({ subject: handle, inner: base64url(1, MOST_INNER_BYTES) }), MOST_ROWS);
const receipt = object({
  v: oneOf(1),
  grant: text(64),
  grantSha256: base64url(32),
  leaf: integer(0),
  opened: list(handle, MOST_ROWS),
  time: integer(0),
  signature: base64url(64),
});
const opened = object({ inner: openedInner, receipt });

/** The rows that a grant may open: of its field, and each of its people at most once. The sealer asks nobody else about that. */
export function rowsOfGrant(grant: Grant, rows: readonly SealedRow[]): boolean {
  const left = new Set(grant.subjects);
  return rows.every((row) => row.field === grant.field && left.delete(row.subject));
}

/**
 * Reads the ledger's answer as if an enemy had sent it: the receipt must be signed by the pinned ledger, be for exactly this
 * grant, and name exactly the people whose layers came off, who must be among those asked for and not twice. Throws
 * GuardError `refused`: then nothing is opened.
 */
export function readOpened(answer: unknown, grant: Grant, ledgerKey: string): Opened {
  const no = () => new GuardError('refused', 'The ledger gave no valid receipt. Nothing is opened without one.');
  let read: Opened;
  try {
    read = opened(answer);
  } catch {
    throw no();
  }
  const { inner, receipt } = read;
  const left = new Set(grant.subjects);
  const fits =
    verifyReceipt(ledgerKey, receipt) &&
    receipt.grant === grant.id &&
    receipt.grantSha256 === toBase64url(challengeOf(grant)) &&
    receipt.opened.length === inner.length &&
    inner.every((one, i) => one.subject === receipt.opened[i] && left.delete(one.subject));
  if (!fits) throw no();
  return read;
}

const said = object({ inner: openedInner, receipt, silent: list(handle, MOST_ROWS) });

/** The same for a message; `silent` are people whom it was asked for. Throws GuardError `refused`. */
export function readMessage(
  answer: unknown,
  asked: { readonly id: string; readonly sha256: string; readonly subjects: readonly string[] },
  ledgerKey: string,
): Opened & { readonly silent: readonly string[] } {
  const no = () => new GuardError('refused', 'The ledger gave no valid receipt. Nothing is opened without one.');
  let read: Opened & { readonly silent: readonly string[] };
  try {
    read = said(answer);
  } catch {
    throw no();
  }
  const left = new Set(asked.subjects);
  const fits =
    verifyReceipt(ledgerKey, read.receipt) &&
    read.receipt.grant === asked.id &&
    read.receipt.grantSha256 === asked.sha256 &&
    read.receipt.opened.length === read.inner.length &&
    read.silent.every((one) => left.has(one)) &&
    read.inner.every((one, i) => one.subject === read.receipt.opened[i] && left.delete(one.subject));
  if (!fits) throw no();
  return read;
}

const charge = object({
  e: oneOf('charge'),
  admin: text(63),
  field: oneOf(...FIELDS),
  count: integer(0),
  at: integer(0),
});
const used = object({ e: oneOf('used'), id: text(64), notAfter: integer(0), sha256: base64url(32) });
const lock = object({ e: oneOf('lock'), scope: oneOf(...LOCK_SCOPES), target: text(63), reason: text(200) });
/** How far a grant for searching was used (`SearchChange`). */
const searched = object({
  e: oneOf('search'),
  change: object({
    ...{ what: oneOf('asked'), grant: text(64), sha256: text(64), notAfter: integer(0), seq: integer(0) },
    ...{ count: integer(0), admin: text(63), field: oneOf(...SEARCHED), at: integer(0) },
  }),
});
const message = object({
  e: oneOf('message'),
  opening: object({
    ...{ lane: oneOf('single', 'notice', 'auto'), id: text(36), sha256: base64url(32), notAfter: integer(0) },
    ...{ subjects: list(handle, MOST_ROWS), at: integer(0) },
  }),
});
const MOST_EFFECTS = 100_000;

const asked = object({ admin: text(63), field: oneOf(...FIELDS), count: integer(0), age: integer(0, DAY) });

/** What the ledger says was spent, as the sealer believes it. */
export interface Spent {
  readonly time: number;
  readonly effects: readonly Effect[];
  readonly recent: readonly Recent[];
}

/**
 * Takes only what takes away: nothing is counted backwards, and roster changes and unlocks come through signatures, never
 * through the other guard. Throws SealError `shape`.
 */
export function readSpent(answer: unknown): Spent {
  const any = (one: unknown) => one;
  const body = object({ time: integer(0), effects: list(any, MOST_EFFECTS), recent: list(asked, MOST_EFFECTS) });
  const { time, effects, recent } = body(answer);
  const taken: Effect[] = [];
  for (const effect of effects) {
    const kind = (effect as { e?: unknown } | null)?.e;
    if (kind === 'charge') taken.push(charge(effect));
    else if (kind === 'used') taken.push(used(effect));
    else if (kind === 'lock') taken.push(lock(effect));
    else if (kind === 'message') taken.push(message(effect));
    else if (kind === 'search') taken.push(searched(effect));
  }
  return { time, effects: taken, recent };
}
