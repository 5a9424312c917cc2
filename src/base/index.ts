export { equalBytes, fromBase64url, sha256, toBase64url } from './bytes.ts';
export { canonicalJson, type Json } from './canonical.ts';
export { type Clock, systemClock } from './clock.ts';
export { BartizanError, type Problem, toProblem } from './errors.ts';
export { HANDLE, newDeviceHandle, newPersonHandle, newToken, uuidv7 } from './ids.ts';
export { type Logger, processLogger } from './logger.ts';
export { Sealed } from './sealed.ts';
