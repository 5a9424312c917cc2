export { WitnessError } from './error.ts';
export { type Answer, addCheckpoint, parseRequest } from './judge.ts';
export { foundWitness, readSigners, type Signers } from './keys.ts';
export { lockWitness } from './lock.ts';
export { type Known, Memory } from './memory.ts';
export { Rate } from './rate.ts';
export { type Serving, serveWitness, type WitnessOptions } from './server.ts';
