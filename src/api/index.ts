export type { ApiDoors } from './doors.ts';
export { ApiError } from './error.ts';
export { proofBytes } from './proof.ts';
export { type ConsoleServer, consoleServer } from './server.ts';
