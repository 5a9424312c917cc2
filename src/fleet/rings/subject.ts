import type { CommandSet } from '#seal';
import type { Tx } from '#store';
import { appSubject } from './subject-app.ts';
import { profileSubject } from './subject-profile.ts';
import { setSubject } from './subject-set.ts';

export const ROLLOUT_KINDS = ['profile', 'app', 'set'] as const;
export type RolloutKind = (typeof ROLLOUT_KINDS)[number];

/** What core hands in: how an approval is asked for, the clock, and where devices find edge. */
export interface RolloutDoors {
  readonly requestApproval: (t: Tx, document: CommandSet) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
  readonly origin: string;
}

/** A rollout as a subject needs it. */
export interface Rolled {
  readonly id: string;
  readonly subject_id: string;
  /** Null for a set of declarations, which is what it is. */
  readonly version_id: string | null;
  readonly requester: string;
}

/**
 * What a rollout can carry. The rings, soaks, halts and people are the same for all; a subject knows whom it is for, how it
 * reaches them, and what its devices say of it.
 */
export interface Subject {
  /** Whether subject and version are there and belong together: the console wrote them. */
  known(t: Tx, live: Rolled): Promise<boolean>;
  /** Handles of the devices it is wanted on, sorted. */
  wanted(t: Tx, live: Rolled): Promise<string[]>;
  /** Lets the members have it that have not; returns to how many it went. In the rollout's transaction. */
  send(t: Tx, live: Rolled, members: readonly string[], doors: RolloutDoors): Promise<number>;
  /**
   * SQL for those of the members ($4, handles) that it was sent to: device_id, outcome (`ok`, `failed`, `waits`), at. $1 is
   * the rollout, $2 the subject, $3 the version.
   */
  readonly outcomes: string;
  /** SQL for how many of the members it was sent to; the same parameters. */
  readonly sent: string;
  /** What was never sent, because its approval failed or somebody took it back, may be asked for anew. */
  forgetUnsent(t: Tx, live: Rolled, intents: readonly string[]): Promise<void>;
  /** All rings are past. */
  finish?(t: Tx, live: Rolled): Promise<void>;
}

export const SUBJECTS: Readonly<Record<RolloutKind, Subject>> = {
  profile: profileSubject,
  app: appSubject,
  set: setSubject,
};
