import type { LockKey, ThirdLock, ThirdState } from '../../../../src/seal/third-types.ts';
import { askPrf, type Known, touch } from '../passkey.ts';
import { pinLockKey, shareThird } from '../server.ts';
import { boxesFor, lockKeyOf, newThird, recoveryBox, seedOf } from './keys.ts';

const fresh = () => ({ id: crypto.randomUUID(), notAfter: Date.now() + 5 * 60_000 });

/** Two touches: the first gives the PRF, the second signs the key that comes of it. */
export async function registerPasskey({ admin, credential }: Known, say: (busy: string) => void): Promise<void> {
  const prf = await askPrf(credential);
  const { publicKey: key } = await lockKeyOf(prf);
  prf.fill(0);
  say('Touch it once more, to sign');
  const document: LockKey = { v: 1, op: 'lock-key', ...fresh(), admin, credential, key };
  const { assertion } = await touch(document, credential);
  await pinLockKey(document, assertion);
}

/** A new third lock for everybody who registered, and for the recovery key. One touch. Its public key. */
export async function makeThird({ admin, credential }: Known, org: string, state: ThirdState): Promise<string> {
  const third = await newThird();
  const document: ThirdLock = {
    ...{ v: 1, op: 'third-lock', act: 'make', ...fresh(), admin, key: third.key },
    boxes: await boxesFor(org, third, state.keys),
    ...(state.recoveryKey === null ? {} : { recovery: await recoveryBox(org, third, state.recoveryKey) }),
  };
  third.seed.fill(0);
  const { assertion } = await touch(document, credential);
  await shareThird(document, assertion);
  return third.key;
}

/** Lets those in who registered since. Two touches: the first opens the own box. */
export async function shareWith(
  { admin, credential }: Known,
  org: string,
  state: ThirdState,
  say: (busy: string) => void,
): Promise<void> {
  const prf = await askPrf(credential);
  const seed = await seedOf(org, state, credential, prf);
  prf.fill(0);
  const key = state.inForce ?? state.proposed!.key;
  const without = withoutBox(state);
  const boxes = await boxesFor(org, { seed, key }, without);
  seed.fill(0);
  say('Touch it once more, to sign');
  const document: ThirdLock = { v: 1, op: 'third-lock', act: 'add', ...fresh(), admin, key, boxes };
  const { assertion } = await touch(document, credential);
  await shareThird(document, assertion);
}

/** Boxes that were made from the recovery key on another machine. One touch. */
export async function shareRecovered(
  { admin, credential }: Known,
  key: string,
  boxes: ThirdLock['boxes'],
): Promise<void> {
  const document: ThirdLock = { v: 1, op: 'third-lock', act: 'add', ...fresh(), admin, key, boxes };
  const { assertion } = await touch(document, credential);
  await shareThird(document, assertion);
}

/** Registered passkeys that have no box yet. */
export const withoutBox = ({ keys, boxes }: ThirdState): ThirdState['keys'] => {
  const has = new Set(boxes.map(({ credential }) => credential));
  return keys.filter(({ credential }) => !has.has(credential));
};
