import type { Field } from './messages.ts';

/**
 * The third lock: values are sealed once more, inside the sealer's layer, to a key that no server has. Its secret, the seed,
 * lies in boxes that passkeys open by their PRF extension (WebAuthn Level 3 section 10.1.4), and in one for the recovery key.
 */

/** What a passkey's PRF is asked: the same for ever, or the boxes are lost. */
export const PRF_INPUT = 'bartizan third lock v1';
/** Which key a PRF's 32 bytes are the seed of: the lock key, to which boxes are sealed. */
export const LOCK_KEY_SEED = 'bartizan lock key v1';
/** HPKE info of a box, and of a value. */
export const BOX_INFO = 'bartizan third box v1';
export const THIRD_INFO = 'bartizan third v1';
/** A seed under HPKE: 32 + 32 + 16 bytes. */
export const BOX_BYTES = 80;
/** Whose box a box is, when it is nobody's passkey. */
export const RECOVERY_BOX = 'recovery';

/** The first two bytes of a padded value under the third lock, where others have a length. */
export const THIRD_MARK = 0xff03;
/** What is inside: 2-byte length, UTF-8, zeros; 128 bytes less the mark, the encapsulated key and the tag. */
export const THIRD_PADDED = 78;
/** Longest value that fits under the third lock, UTF-8 bytes. */
export const THIRD_BYTES = THIRD_PADDED - 2;

/** What people read; secrets of devices go to devices, which have no passkey. */
export const underThird = (field: Field): boolean => field !== 'unlock-token' && field !== 'bootstrap-token';

/** Somebody's passkey can open boxes: the public key that its PRF gives. Signed by that passkey. */
export interface LockKey {
  readonly v: 1;
  readonly op: 'lock-key';
  readonly id: string;
  readonly admin: string;
  readonly credential: string;
  /** Raw X25519, base64url. */
  readonly key: string;
  readonly notAfter: number;
}

export interface ThirdBox {
  readonly credential: string;
  /** `BOX_BYTES`, base64url. */
  readonly box: string;
}

/** Proposes a third lock, or lets more passkeys open the one that there is. One touch; two people put a proposed one in force. */
export interface ThirdLock {
  readonly v: 1;
  readonly op: 'third-lock';
  readonly id: string;
  readonly act: 'make' | 'add';
  readonly admin: string;
  /** Raw X25519, base64url: what values are sealed to. */
  readonly key: string;
  /** Sorted by credential. */
  readonly boxes: readonly ThirdBox[];
  /** The seed for the organisation's recovery key, where it has one. */
  readonly recovery?: string;
  readonly notAfter: number;
}

/** A passkey that can open boxes, as the ledger keeps it. */
export interface PinnedLockKey {
  readonly admin: string;
  readonly credential: string;
  readonly key: string;
}

/** What the ledger tells of the third lock. Nothing of it opens anything. */
export interface ThirdState {
  readonly inForce: string | null;
  /** All that were ever proposed here. */
  readonly made: readonly string[];
  readonly proposed: { readonly key: string; readonly admin: string; readonly at: number } | null;
  readonly keys: readonly PinnedLockKey[];
  /** Boxes of the key in force, or of the proposed one. */
  readonly boxes: readonly ThirdBox[];
  readonly recovery: string | null;
  /** Raw X25519 of the recovery key, to which that box is sealed; null where there is none. */
  readonly recoveryKey: string | null;
}
