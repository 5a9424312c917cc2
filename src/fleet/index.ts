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
export { cancelIntent, type IntentInput, type Risk, type Scope, type StatedIntent, stateIntent } from './intent.ts';
export { issuePending } from './issue.ts';
export { type Offer, offerEnrolments } from './offer.ts';
export { checkProfile } from './profile.ts';
export { deviceIntents, devicesOf, type IntentRow } from './wanted.ts';
