export type { ApiDoors } from './doors.ts';
export { ApiError } from './error.ts';
export { type ConsoleServer, consoleServer } from './server.ts';
