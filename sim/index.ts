export { type AccountEnrolment, enrolAccount, plainWebView } from './account.ts';
/**
 * The simulators: software passkeys, phones and invented people for tests, demo and drill. They know the public
 * protocols and nothing of the server, so that they find its bugs and do not share them.
 */
export {
  AcmeClient,
  type AcmeEnrolment,
  AcmeRefused,
  acmeEnrol,
  ecRequest,
  type Hardware,
  type IdentityFault,
} from './acme.ts';
export { type AttestationClaims, AttestationServer, attestationObject, encodeCbor } from './attestation.ts';
export type { Behaviour } from './behaviour.ts';
export { newExtras, type PhoneExtras } from './commands-more.ts';
export {
  DDM_KINDS,
  type DdmBehaviour,
  DdmClient,
  type DdmKind,
  type DdmState,
  type DeclarationStatus,
  type Facts,
  type HeldDeclaration,
  newDdmState,
  type Transport,
} from './ddm.ts';
export { holds } from './ddm-predicate.ts';
export { followUpdate, updateWanted } from './ddm-update.ts';
export { DdmError } from './ddm-wire.ts';
export { type BoughtDevice, DEP_CONTACT, type DepFault, DepService } from './dep-service.ts';
export { type Encoded, encodings } from './encodings.ts';
export { type FleetNumbers, type FleetOptions, PhoneFleet } from './fleet.ts';
export { type Answer, type Line, openLine, type Send } from './http.ts';
export { type Hit, Hunter, type Searched } from './hunt.ts';
export { IdentityProvider, type IdpFault, type IdpUser } from './identity-provider.ts';
export { KeyPool } from './keys.ts';
export {
  type Misbehaviour,
  mayAim,
  newAuthority,
  profileOf,
  type RawServer,
  readMisbehaviour,
  SimError,
  type SimOptions,
  type SimSummary,
  signsIdentities,
  simulate,
} from './load/index.ts';
export {
  type AssertionOptions,
  assert,
  assertion,
  newPasskey,
  type PasskeyAssertion,
  publicHalf,
  type SoftwarePasskey,
} from './passkey.ts';
export {
  type InventedPerson,
  inventPeople,
  ownersDeviceName,
  type PlantedDevice,
  peopleCsv,
  plantedValues,
} from './people.ts';
export { Phone } from './phone.ts';
export { PhoneError, type PhoneOptions } from './phone-options.ts';
export {
  blank,
  type Enrolment,
  type InstalledProfile,
  type NewPhone,
  newPhone,
  type PhoneState,
} from './phone-state.ts';
export { type EnrolmentProfile, readEnrolmentProfile } from './profile.ts';
export { type Pushed, type PushFault, PushService } from './push-service.ts';
export { ScepRefused } from './scep.ts';
export { DeviceAuthority, type SetupOptions, setUp } from './setup-assistant.ts';
export { VppService } from './vpp-service.ts';
