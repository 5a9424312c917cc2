export { EdgeError } from './error.ts';
export { type Refusal, Refusals } from './refusals.ts';
export { type EdgeIdentity, makeRegistrationKey, registerEdge } from './registration.ts';
export { edgeServer } from './server.ts';
