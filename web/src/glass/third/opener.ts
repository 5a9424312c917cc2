import type { Field } from '../../../../src/seal/messages.ts';
import { NO_PRF } from '../passkey.ts';
import { type Published, thirdState } from '../server.ts';
import { seedOf, thirdOpener } from './keys.ts';

/** What opens values under the third lock, with what this passkey's PRF gave in the touch itself. Throws, in words. */
export async function openerFor(
  config: Published,
  field: Field,
  credential: string,
  prf: Uint8Array<ArrayBuffer> | undefined,
) {
  if (prf === undefined) throw new Error(NO_PRF);
  const { org } = config.keys;
  const seed = await seedOf(org, await thirdState(), credential, prf);
  prf.fill(0);
  return thirdOpener(org, field, seed);
}
