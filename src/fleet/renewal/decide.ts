/** Where a renewal stands. `due` waits for its next attempt; `sent` and `issued` are an attempt under way. */
export type RenewalState = 'due' | 'sent' | 'issued' | 'done' | 'stopped';

/** All that a decision rests on. Times in milliseconds. */
export interface RenewalFacts {
  readonly state: RenewalState;
  /** due: when the next attempt starts; sent and issued: when this one has failed. */
  readonly nextAt: number;
  /** Attempts so far, this one included. */
  readonly attempts: number;
  /** State of the attempt's command; null if there is none. */
  readonly command: string | null;
  readonly enrolled: boolean;
  /** End of the certificate that the device uses. */
  readonly notAfter: number;
  readonly now: number;
}

export type Decision =
  | { readonly act: 'wait' }
  /** Queue a command; the attempt has failed at `until`. */
  | { readonly act: 'attempt'; readonly until: number }
  /** Take the attempt back and start the next one at `next`. */
  | { readonly act: 'fail'; readonly reason: string; readonly next: number }
  | { readonly act: 'stop' };

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Below this the pace doubles: the device is lost when its certificate ends. */
const HURRY = 14 * DAY;
const FIRST_PAUSE = 15 * 60_000;
const FAILED: Readonly<Record<string, string>> = {
  error: 'DeviceError',
  format_error: 'DeviceError',
  unsupported: 'DeviceError',
  refused: 'CommandRefused',
  cancelled: 'CommandCancelled',
  superseded: 'CommandCancelled',
  expired: 'CommandCancelled',
};

/**
 * What comes next for one renewal. A pure function, so that no order of answers, silences and crashes is left to luck:
 * every open state has an end, every failed attempt a next one.
 */
export function decide(facts: RenewalFacts): Decision {
  const { state, now, command } = facts;
  if (state === 'done' || state === 'stopped') return { act: 'wait' };
  if (!facts.enrolled) return { act: 'stop' };
  if (state === 'due') return now >= facts.nextAt ? { act: 'attempt', until: now + patience(facts) } : { act: 'wait' };
  const failed = command === null ? 'CommandGone' : FAILED[command];
  if (failed !== undefined) return fail(facts, failed);
  // It says that it installed the profile and never asked for a certificate.
  if (state === 'sent' && command === 'acknowledged') return fail(facts, 'NoCertificate');
  if (now < facts.nextAt) return { act: 'wait' };
  if (state === 'issued') return fail(facts, 'NotSeen');
  return fail(facts, command === 'not_now' ? 'NotNow' : 'Silence');
}

const hurried = ({ notAfter, now }: RenewalFacts): boolean => notAfter - now < HURRY;

/** How long an attempt may take. */
const patience = (facts: RenewalFacts): number => (hurried(facts) ? 6 * HOUR : DAY);

function fail(facts: RenewalFacts, reason: string): Decision {
  const pause = Math.min(
    FIRST_PAUSE * 2 ** Math.min(Math.max(facts.attempts - 1, 0), 10),
    hurried(facts) ? 2 * HOUR : DAY,
  );
  return { act: 'fail', reason, next: facts.now + pause };
}

const ALARMS = [60, 30, 14, 7, 3, 1, 0];

/** The smallest alarm that is reached with so little left, or undefined. */
export function renewalAlarm(notAfter: number, now: number): number | undefined {
  return ALARMS.findLast((days) => (notAfter - now) / DAY <= days);
}
