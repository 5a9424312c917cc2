export { type DeviceCa, loadCa, makeCa } from './ca.ts';
export * from './ddm/index.ts';
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
export { expiryAlarm, type PushCertificate, readPushCertificate } from './push/certificate.ts';
export { PushClient, type PushEndpoint } from './push/client.ts';
export { pushAgain, sendPushes, watchCertificate } from './push/push.ts';
export { type PushState, pushCertificateState } from './push/state.ts';
export { type CommandParams, RISK, type Risk } from './verbs.ts';
export { deviceIntents, devicesOf, type IntentRow } from './wanted.ts';
