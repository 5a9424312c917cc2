export type { Verb } from '#wire';
export { AdeFiles } from './ade/files.ts';
export {
  expectHolders,
  giveHolder,
  type HoldersGiven,
  type NamedHolder,
  type RefusedHolder,
  readHolderList,
} from './ade/holders.ts';
export { type AdePolicy, certificatesOf, checkAdePolicy, readAdePolicy } from './ade/policy.ts';
export {
  serviceTokenAllowance,
  setServiceTokens,
  signServiceTokens,
  TOKEN_ALLOWANCES,
  type TokenAllowance,
} from './ade/service-token.ts';
export { releaseSetups } from './ade/setup.ts';
export { adeState, askAde } from './ade/state.ts';
export { Ade, type AdeDoors } from './ade/sync.ts';
export { readServiceToken, type ServiceToken } from './apps/client.ts';
export { type AppRow, type AppService, assignApp, listApps, saveApp, unassignApp } from './apps/library.ts';
export { Licences } from './apps/licences.ts';
export { type AppDoors, sendApps } from './apps/send.ts';
export { type AppVersionRow, listVersions } from './apps/versions.ts';
export { type ReattestOptions, reattest } from './attestation/again.ts';
export { type DeviceIdentity, deviceIdentity } from './attestation/facts.ts';
export { type AttestationDoors, judgeAttestations } from './attestation/judge.ts';
export { askAttestation, reattestationDays, setReattestation } from './attestation/plan.ts';
export {
  expectSerial,
  IDENTITY_KINDS,
  type IdentityKind,
  type IdentityPolicy,
  identityPolicy,
  readAttestationRoots,
  setIdentityPolicy,
} from './attestation/policy.ts';
export { type DeviceCa, loadCa, loadTokenCa, makeCa, makeTokenCa } from './ca.ts';
export type { Pkcs11Key } from './ca-token.ts';
export { type Claim, claimsOf, decideClaim, linkAnew } from './claims.ts';
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
export { publishCrl } from './crl.ts';
export * from './ddm/index.ts';
export { type DesiredItem, desiredOf, drifted } from './desired/desired.ts';
export {
  type CommandRow,
  countDevices,
  type DeviceRow,
  deviceTimeline,
  getDevice,
  listDevices,
} from './devices.ts';
export { dispatchReady, executeApproved, READING, refuseApproved } from './dispatch.ts';
export { FleetError } from './error.ts';
export { FIELDS, type Field, type FieldType, OPS } from './groups/fields.ts';
export type { Condition, Filter } from './groups/filter.ts';
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
export { type ImportOptions, type ImportReport, importNano } from './import/import.ts';
export type { LeftOut, NanoRow } from './import/nanomdm.ts';
export { type OldProfile, readOldProfile } from './import/old-profile.ts';
export { type IntentInput, type Scope, type StatedIntent, stateIntent } from './intent.ts';
export {
  type InventoryChange,
  type InventoryPlan,
  inventoryHistory,
  inventoryPlans,
  PLAN_HOURS,
  setInventoryPlan,
} from './inventory/history.ts';
export { askInventory, pruneHistory } from './inventory/refresh.ts';
export { type IssueOptions, issuePending } from './issue.ts';
export { accountCounts, LINK_STATES, type Link, type LinkState, listLinks, revokeLink } from './links.ts';
export { type Offer, type OfferInput, type Ownership, offerEnrolments } from './offer.ts';
export { markPersonal } from './ownership.ts';
export { MOST_PACKAGE_BYTES, PART_BYTES, type PackageFacts, type ReadPart, readPackage } from './packages/read.ts';
export { signPackages } from './packages/sign.ts';
export {
  beginPackage,
  finishPackage,
  listPackages,
  type PackageRow,
  putPackagePart,
  removePackage,
} from './packages/store.ts';
export {
  cancelAll,
  cancelIntent,
  expireIntents,
  holdIntent,
  holdLane,
  type IntentSummary,
  listIntents,
  recoverDevice,
  releaseIntent,
} from './pending.ts';
export type { Consequence } from './profiles/consequences.ts';
export type { KeyChange, PayloadChange } from './profiles/diff.ts';
export {
  assignProfile,
  type DryRun,
  diffVersions,
  dryRun,
  getProfile,
  listProfiles,
  type ProfileRow,
  storeProfile,
  unassignProfile,
} from './profiles/library.ts';
export { type PushCertificate, parsePushCertificate, readPushCertificate } from './push/certificate.ts';
export { sendChannelPushes } from './push/channels.ts';
export { PushClient } from './push/client.ts';
export type { PushEndpoint } from './push/connection.ts';
export { PushKeeper } from './push/keeper.ts';
export { type PushState, pushCertificateState, pushCounts, pushObstacle, waitingCommands } from './push/state.ts';
export type { RenewalFacts, RenewalState } from './renewal/decide.ts';
export { type RenewalOptions, renewCertificates } from './renewal/renew.ts';
export {
  askRenewal,
  deviceCertificates,
  type IssuedCertificate,
  type RenewalView,
  renewalObstacle,
  revokeCertificates,
} from './renewal/state.ts';
export { advanceRetirements } from './retire/advance.ts';
export { evidenceMarkdown, type RetireEvidence, retireEvidence } from './retire/evidence.ts';
export { getRetirement, listRetirements, type Retirement } from './retire/list.ts';
export { cancelRetirement, RETIRE_WAYS, type RetireWay, requestRetirement } from './retire/request.ts';
export { advanceRollouts, settleProfiles } from './rings/advance.ts';
export type { Ring } from './rings/ring.ts';
export { askRollout, listRollouts, type RolloutRow, startRollout } from './rings/store.ts';
export { ROLLOUT_KINDS, type RolloutDoors, type RolloutKind } from './rings/subject.ts';
export { listSubjects, type SubjectRow } from './rings/subjects.ts';
export { Settling } from './settling.ts';
export { judgeSilence, type SilenceRule, setSilence, silenceRules } from './silence/silence.ts';
export { trustHolder } from './two-holders.ts';
export { type CommandParams, headingOf, RISK, type Risk, VERB_NAMES } from './verbs.ts';
export { deviceIntents, devicesOf, type IntentRow } from './wanted.ts';
export { commandWays, type Way, type WayStep } from './way.ts';
export { addWindow, listWindows, removeWindow, type WindowRow } from './windows/store.ts';
export type { MaintenanceWindow } from './windows/window.ts';
