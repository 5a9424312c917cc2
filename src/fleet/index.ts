export { type DeviceIdentity, deviceIdentity } from './attestation/facts.ts';
export { type AttestationDoors, judgeAttestations } from './attestation/judge.ts';
export {
  IDENTITY_KINDS,
  type IdentityKind,
  type IdentityPolicy,
  identityPolicy,
  readAttestationRoots,
  setIdentityPolicy,
} from './attestation/policy.ts';
export { type DeviceCa, loadCa, makeCa } from './ca.ts';
export {
  type ComplianceRule,
  complianceOf,
  deleteRule,
  type Finding,
  findingsOf,
  listRules,
  saveRule,
  VERDICTS,
  type Verdict,
} from './compliance/rule.ts';
export {
  type CommandRow,
  countDevices,
  type DeviceRow,
  deviceTimeline,
  getDevice,
  listDevices,
} from './devices.ts';
export { dispatchReady, executeApproved, refuseApproved } from './dispatch.ts';
export { FleetError } from './error.ts';
export { FIELDS, type Field, type FieldType, OPS } from './groups/fields.ts';
export { type Condition, type Filter, parseFilter } from './groups/filter.ts';
export { followFacts } from './groups/follow.ts';
export {
  type DeviceGroup,
  deleteGroup,
  getGroup,
  groupsOf,
  listGroups,
  previewFilter,
  saveGroup,
} from './groups/group.ts';
export { cancelIntent, type IntentInput, type Scope, type StatedIntent, stateIntent } from './intent.ts';
export {
  type InventoryChange,
  type InventoryPlan,
  inventoryHistory,
  inventoryPlans,
  PLAN_HOURS,
  setInventoryPlan,
} from './inventory/history.ts';
export { askInventory, pruneHistory } from './inventory/refresh.ts';
export { issuePending } from './issue.ts';
export { LINK_STATES, type Link, type LinkState, listLinks, revokeLink } from './links.ts';
export { type Offer, type OfferInput, type Ownership, offerEnrolments } from './offer.ts';
export { markPersonal, neverErasePersonal, personalDevices } from './ownership.ts';
export { checkProfile } from './profile.ts';
export { expiryAlarm, type PushCertificate, readPushCertificate } from './push/certificate.ts';
export { PushClient, type PushEndpoint } from './push/client.ts';
export { pushAgain, sendPushes, watchCertificate } from './push/push.ts';
export { type PushState, pushCertificateState } from './push/state.ts';
export { judgeSilence, type SilenceRule, setSilence, silenceRules } from './silence/silence.ts';
export { type CommandParams, headingOf, RISK, type Risk } from './verbs.ts';
export { deviceIntents, devicesOf, type IntentRow } from './wanted.ts';
export { commandWays, type Way, type WayStep } from './way.ts';
