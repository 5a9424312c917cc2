import { parseAssertion, parseLockKey, parseThirdLock, shape } from '#seal';
import type { GlassDoors } from './doors.ts';

const lockKey = shape.object({ document: parseLockKey, assertion: parseAssertion });
const thirdLock = shape.object({ document: parseThirdLock, assertion: parseAssertion });

/** Which passkeys open the third lock, and the boxes for them: nothing that opens anything without a passkey. */
export const thirdState = (doors: GlassDoors): Promise<object> => doors.ledger.call('third', {});

/** A passkey names the key that its PRF gives. The ledger judges it. Throws GuardError, SealError. */
export const pinLockKey = (doors: GlassDoors, body: unknown): Promise<object> =>
  doors.ledger.call('lock-key', lockKey(body));

/** A third lock is proposed, or more passkeys are let in. The ledger judges it. Throws GuardError, SealError. */
export const shareThird = (doors: GlassDoors, body: unknown): Promise<object> =>
  doors.ledger.call('third-lock', thirdLock(body));
