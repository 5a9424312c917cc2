export { mayAim, SimError } from './aim.ts';
export { type SimOptions, type SimSummary, simulate } from './load.ts';
export { type Misbehaviour, readMisbehaviour } from './misbehave.ts';
export { newAuthority, signsIdentities } from './own-identities.ts';
export { profileOf, type RawServer } from './profile-of.ts';
