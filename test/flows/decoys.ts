export { decoysOf } from '../../src/run/drill/known-decoys.ts';
