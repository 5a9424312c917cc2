import { sha256, toBase64url } from '#base';
import { SealError } from './errors.ts';
import { ADMIN } from './handles.ts';
import { type LockScope, ROLES } from './messages.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

/** How locks and events name a passkey: base64url SHA-256 of its credential id. */
export const credentialDigest = (credential: string): string => toBase64url(sha256(credential));

const TARGET: { readonly [S in LockScope]: (target: string) => boolean } = {
  directory: (target) => target === '',
  commands: (target) => target === '',
  admin: (target) => ADMIN.test(target),
  role: (target) => (ROLES as readonly string[]).includes(target),
  credential: (target) => DIGEST.test(target),
  document: (target) => UUID.test(target),
};

/** Whether a lock's target is one of its scope: an admin, a role, base64url SHA-256 of a credential id, a document's id. */
export const isLockTarget = (scope: LockScope, target: string): boolean => TARGET[scope](target);

/** A lock names what it locks, and nothing if it locks all. Throws SealError `shape`. */
export function lockTargetFits<T extends { readonly scope: LockScope; readonly target: string }>(read: T): T {
  if (!isLockTarget(read.scope, read.target)) {
    throw new SealError(
      'shape',
      'A lock names the admin, role, passkey or document that it locks; other locks have no target.',
    );
  }
  return read;
}
