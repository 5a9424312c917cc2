import { signCms } from '#wire';
import type { EdgeIdentity } from './registration.ts';

/**
 * A configuration profile signed with edge's registration certificate (CMS, RFC 5652), with the CA beside it. Edge holds that
 * key anyway and it says just this: who enrols devices here. A second key in the same process would be stolen with the first.
 * A phone that does not trust our CA yet shows the profile as not verified, signed or not.
 */
export function signedProfile(identity: EdgeIdentity, profile: Uint8Array): Buffer {
  const { certificate, key } = identity.registration;
  return signCms({ content: profile, certificate, key, chain: [identity.ca] });
}
