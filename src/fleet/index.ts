export { type DeviceCa, loadCa, makeCa } from './ca.ts';
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
export { cancelIntent, type IntentInput, type Scope, type StatedIntent, stateIntent } from './intent.ts';
export { issuePending } from './issue.ts';
export { type Offer, offerEnrolments } from './offer.ts';
export { checkProfile } from './profile.ts';
export { expiryAlarm, type PushCertificate, parsePushCertificate, readPushCertificate } from './push/certificate.ts';
export { PushClient } from './push/client.ts';
export type { PushEndpoint } from './push/connection.ts';
export { PushKeeper } from './push/keeper.ts';
export { pushAgain, sendPushes, watchCertificate } from './push/push.ts';
export {
  type PushState,
  pushCertificateState,
  pushCounts,
  pushObstacle,
  waitingCommands,
  waitsFor,
} from './push/state.ts';
export { type CommandParams, headingOf, RISK, type Risk } from './verbs.ts';
export { deviceIntents, devicesOf, type IntentRow } from './wanted.ts';
