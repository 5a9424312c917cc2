export type { ApiDoors } from './doors.ts';
export { ApiError } from './error.ts';
export { openApi } from './openapi.ts';
export { type ConsoleServer, consoleServer, ROUTES } from './server.ts';
