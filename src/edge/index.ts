export { type AccountSettings, checkAccountSettings, readAccountSettings } from './account/settings.ts';
export { DEFAULT_POLICY, type DevicePolicy } from './check-ins.ts';
export { DOWNLOAD_LIMITS } from './downloads.ts';
export { EdgeError } from './error.ts';
export { checkInbound, type InboundSettings, inboundFile, readInbound } from './inbound.ts';
export { type Refusal, Refusals } from './refusals.ts';
export { type EdgeIdentity, makeRegistrationKey, registerEdge } from './registration.ts';
export { type EdgeSecrets, makeEdgeSecrets, readEdgeSecrets } from './secrets.ts';
export { type EdgeDoors, edgeServer } from './server.ts';
