import type { Ring } from './ring.ts';

export type RolloutStatus = 'running' | 'paused' | 'halted' | 'done' | 'cancelled';

/** Where a rollout is. Times in milliseconds. */
export interface RolloutState {
  readonly status: RolloutStatus;
  /** Index of the ring that is open. */
  readonly ring: number;
  /** When the open ring's soak ends; null until enough of its devices have answered. */
  readonly soakUntil: number | null;
  /** Errors that somebody looked at and went on. */
  readonly acceptedErrors: number;
  /** Who asked to cut the soak short. */
  readonly skipBy: string | null;
}

/** What is known of the devices of the open ring and those before it. */
export interface RingFacts {
  /** Devices that the open ring holds. */
  readonly devices: number;
  /** Of them, devices that something was sent to. */
  readonly sent: number;
  readonly ok: number;
  /** Devices that answered with an error, and those that are worse off. */
  readonly failed: number;
  /** Of the failed: those that took it and then fell out of compliance or drifted. */
  readonly worse?: number;
  /** Why something was not sent at all, such as a refused approval. */
  readonly refused?: string | undefined;
}

export type RolloutInput =
  | { readonly type: 'look'; readonly facts: RingFacts; readonly now: number }
  | {
      readonly type: 'pause' | 'resume' | 'cancel' | 'skip';
      readonly by: string;
      readonly facts: RingFacts;
      readonly now: number;
    };

export type RolloutStep =
  | { readonly kind: 'ring' | 'soak' | 'done' | 'paused' | 'resumed' | 'cancelled' | 'skip_asked' | 'skipped' }
  | { readonly kind: 'halted'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string };

export const FIRST: RolloutState = { status: 'running', ring: 0, soakUntil: null, acceptedErrors: 0, skipBy: null };
const HOUR_MS = 3_600_000;

export interface Rules {
  readonly plan: readonly Ring[];
  readonly maxErrorPercent: number;
}

/**
 * A rollout's next state and what happened. Rings open one after the other and never close; a ring is left only after
 * half of its devices answered and its soak passed, or two different people cut it short; nothing opens while paused,
 * halted or over.
 */
export function advance(
  rules: Rules,
  state: RolloutState,
  input: RolloutInput,
): { state: RolloutState; step?: RolloutStep } {
  if (state.status === 'done' || state.status === 'cancelled') {
    return input.type === 'look' ? { state } : { state, step: { kind: 'refused', why: 'it is over' } };
  }
  switch (input.type) {
    case 'cancel':
      return { state: { ...state, status: 'cancelled', skipBy: null }, step: { kind: 'cancelled' } };
    case 'pause':
      if (state.status !== 'running') return { state, step: { kind: 'refused', why: 'it is not running' } };
      return { state: { ...state, status: 'paused', skipBy: null }, step: { kind: 'paused' } };
    case 'resume': {
      if (state.status === 'running') return { state, step: { kind: 'refused', why: 'it is running' } };
      // The soak starts anew: what was wrong must be seen to be gone.
      const next = { ...state, status: 'running', soakUntil: null, acceptedErrors: input.facts.failed } as const;
      return { state: next, step: { kind: 'resumed' } };
    }
    case 'skip':
      return skip(rules, state, input.by);
    case 'look':
      return state.status === 'running' ? look(rules, state, input.facts, input.now) : { state };
  }
}

function skip(rules: Rules, state: RolloutState, by: string): { state: RolloutState; step: RolloutStep } {
  if (state.status !== 'running') return { state, step: { kind: 'refused', why: 'it is not running' } };
  if (state.skipBy === null) return { state: { ...state, skipBy: by }, step: { kind: 'skip_asked' } };
  if (state.skipBy === by) return { state, step: { kind: 'refused', why: 'another person must agree' } };
  return { state: onward(rules, state), step: { kind: 'skipped' } };
}

function onward({ plan }: Rules, state: RolloutState): RolloutState {
  const fresh = { ...state, soakUntil: null, skipBy: null };
  return state.ring + 1 < plan.length ? { ...fresh, ring: state.ring + 1 } : { ...fresh, status: 'done' };
}

function look(
  rules: Rules,
  state: RolloutState,
  facts: RingFacts,
  now: number,
): { state: RolloutState; step?: RolloutStep } {
  const fault = faultOf(rules, state, facts);
  if (fault !== undefined) {
    return {
      state: { ...state, status: 'halted', soakUntil: null, skipBy: null },
      step: { kind: 'halted', why: fault },
    };
  }
  if (state.soakUntil === null) {
    const answered = facts.ok + facts.failed;
    if (facts.sent < facts.devices || answered * 2 < facts.devices) return { state };
    const soakUntil = now + rules.plan[state.ring]!.soakHours * HOUR_MS;
    return { state: { ...state, soakUntil }, step: { kind: 'soak' } };
  }
  if (now < state.soakUntil) return { state };
  const next = onward(rules, state);
  return { state: next, step: { kind: next.status === 'done' ? 'done' : 'ring' } };
}

function faultOf(rules: Rules, state: RolloutState, facts: RingFacts): string | undefined {
  if (facts.refused !== undefined) return facts.refused;
  const fresh = Math.max(0, facts.failed - state.acceptedErrors);
  if (fresh === 0) return undefined;
  const share = (fresh / (facts.ok + fresh)) * 100;
  if (share <= rules.maxErrorPercent) return undefined;
  const worse = facts.worse ? `; ${facts.worse} fell out of compliance or drifted after they took it` : '';
  return `${fresh} of ${facts.ok + fresh} devices failed, more than ${rules.maxErrorPercent} %${worse}`;
}
