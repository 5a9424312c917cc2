import type { IdentityFault } from './acme.ts';

/** What goes wrong on purpose. Numbers are how many more times; every use counts one down. */
export interface Behaviour {
  /** Polls reach nobody. */
  offline?: boolean;
  notNow?: number;
  /** Answers Error with this code, without executing. */
  error?: { times: number; readonly code: number };
  commandFormatError?: number;
  /** Signs another body than it sends. */
  wrongSignature?: number;
  /** Sends bytes that are no property list instead of a result. */
  garbage?: number;
  /** Sends a result a second time. */
  duplicate?: number;
  /** Executes, then loses the connection before the result is sent. */
  loseResult?: number;
  /** Fails to get a certificate when the enrolment profile comes again. */
  scepFailure?: number;
  /** What is wrong with its proof of identity by ACME, that many times. */
  identity?: { times: number; readonly fault: IdentityFault };
  /** Waits before every answer, milliseconds. */
  slowMs?: number;
}

/** Whether a fault is due now; one that is counted is used up by asking. */
export const spend = (
  behaviour: Behaviour,
  what: 'notNow' | 'commandFormatError' | 'wrongSignature' | 'garbage' | 'duplicate' | 'loseResult' | 'scepFailure',
) => {
  const left = behaviour[what] ?? 0;
  if (left > 0) behaviour[what] = left - 1;
  return left > 0;
};

/** The fault of a proof of identity that is due now, used up by asking. */
export function spendIdentity(behaviour: Behaviour): IdentityFault | undefined {
  const wanted = behaviour.identity;
  if (wanted === undefined || wanted.times <= 0) return undefined;
  wanted.times -= 1;
  return wanted.fault;
}
