export type { GlassDoors } from './doors.ts';
export { GlassError } from './error.ts';
export { type GlassServer, glassServer } from './server.ts';
