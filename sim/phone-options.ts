import type { AttestationServer } from './attestation.ts';
import type { Behaviour } from './behaviour.ts';
import type { Digest } from './cms.ts';
import type { DdmBehaviour } from './ddm.ts';
import type { Send } from './http.ts';
import type { KeyPool } from './keys.ts';

/** How a phone speaks; clients differ in what the protocol leaves open. */
export interface PhoneOptions {
  readonly send: Send;
  readonly keyPool?: KeyPool;
  readonly behaviour?: Behaviour;
  /** Who vouches for the phone's keys when a profile asks for it; without one the phone has software keys only. */
  readonly attestationServer?: AttestationServer;
  /** Milliseconds; what it goes by in asking for fresh attestations. */
  readonly clock?: () => number;
  /** Digest of Mdm-Signature and SCEP; old clients use SHA-1. Default sha256. */
  readonly digest?: Digest;
  /** Puts the body into Mdm-Signature too. */
  readonly attached?: boolean;
  /** Real phones use PUT. */
  readonly method?: 'PUT' | 'POST';
  /** Leaves Content-Type out of command requests. */
  readonly withoutType?: boolean;
  /** Faults of its declarative management. */
  readonly ddm?: DdmBehaviour;
}

/** The server broke the protocol or refused; `status` is its HTTP status where there was one. */
export class PhoneError extends Error {
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.name = 'PhoneError';
    this.status = status;
  }
}
