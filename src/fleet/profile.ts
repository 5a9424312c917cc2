import { readProfile } from './profiles/read.ts';

/** Checks a configuration profile before it is sent and says which one it is. Throws FleetError. */
export function checkProfile(payload: Uint8Array): { identifier: string } {
  return { identifier: readProfile(payload).identifier };
}
