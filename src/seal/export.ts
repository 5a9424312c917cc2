/** What an export may hold of a person. */
export const EXPORTED = ['name', 'number', 'email'] as const;
export type Exported = (typeof EXPORTED)[number];

/** Most recipients of one file. */
export const MOST_RECIPIENTS = 5;
/** People whose rows travel in one message. */
export const EXPORT_BATCH = 100;
/** Bytes of one part of the finished file. */
export const EXPORT_PART = 256 * 1024;

/**
 * Exports everybody: one age file to these recipients, made inside the guards. Two signatures, and it counts in full before
 * anything is opened.
 */
export interface Export {
  readonly v: 1;
  readonly op: 'export';
  readonly id: string;
  /** In the order of `EXPORTED`. */
  readonly fields: readonly Exported[];
  /** Most people that it may hold; what is charged. */
  readonly people: number;
  /** age recipients (X25519), sorted. */
  readonly recipients: readonly string[];
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}
