import {
  type Caps,
  GuardError,
  parseAssertion,
  parseBreakGlass,
  parseCancelRaise,
  parseLockNow,
  parseRefound,
  type RosterKey,
  type RosterView,
  shape,
} from '#seal';
import type { GlassDoors } from './doors.ts';

const { object, list, base64url } = shape;

const lock = object({ document: parseLockNow, assertion: parseAssertion });
const cancel = object({ document: parseCancelRaise, assertion: parseAssertion });
const open = object({ document: parseBreakGlass, assertions: list(parseAssertion, 8, 3) });
const anew = object({ document: parseRefound, signature: base64url(64) });

type LedgerRoster = RosterView & { readonly keys: readonly RosterKey[]; readonly caps: Caps };

/** The ledger's roster, or undefined while it does not answer. */
export const rosterOf = (doors: Pick<GlassDoors, 'ledger'>): Promise<LedgerRoster | undefined> =>
  doors.ledger.call<LedgerRoster>('roster', {}, { timeoutMs: 2_000 }).catch(() => undefined);

/** What pages of glass need of the roster: limits and states, nobody's name. Null while the ledger does not answer. */
export async function showRoster(doors: GlassDoors): Promise<object> {
  const roster = await rosterOf(doors);
  if (roster === undefined) return { roster: null };
  const { version, threshold, raises, breakGlass, caps } = roster;
  return { roster: { version, threshold, raises, breakGlass, caps } };
}

/**
 * Puts a lock on with one touch: both guards at once, and one of them is enough for it to hold. Tells which did not answer.
 * Throws GuardError if neither took it.
 */
export async function lockNow(doors: GlassDoors, body: unknown): Promise<object> {
  const request = lock(body);
  const both = await Promise.allSettled([
    doors.ledger.call('lock-now', request),
    doors.sealer.call('lock-now', request),
  ]);
  const missing = ['ledger', 'sealer'].filter((_, i) => both[i]!.status === 'rejected');
  if (missing.length === 2) throw (both[0] as PromiseRejectedResult).reason;
  return { missing };
}

/** Stops limits on their way up; both guards, the ledger's word counts. Throws GuardError. */
export async function cancelRaise(doors: GlassDoors, body: unknown): Promise<object> {
  const request = cancel(body);
  await doors.ledger.call('cancel-raise', request);
  // Each guard holds to its own limits: one that stays low is enough.
  const missing = await doors.sealer.call('cancel-raise', request).then(
    () => [],
    (error: unknown) => {
      if (error instanceof GuardError) return ['sealer'];
      throw error;
    },
  );
  return { missing };
}

/** Hands an opening of the sealed keys to both guards. Throws GuardError. */
export async function breakGlass(doors: GlassDoors, body: unknown): Promise<object> {
  const request = open(body);
  const answer = await doors.ledger.call('break-glass', request);
  await doors.sealer.call('break-glass', request);
  return answer;
}

/** Hands a roster that the recovery key made anew to both guards. Throws GuardError. */
export async function refound(doors: GlassDoors, body: unknown): Promise<object> {
  const request = anew(body);
  await doors.ledger.call('refound', request);
  return doors.sealer.call('refound', request);
}
