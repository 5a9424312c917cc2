export type { IntakeDoors } from './doors.ts';
export { IntakeError } from './error.ts';
export { joinedHandle } from './joined-handle.ts';
export { SCIM_PATH, type ScimServer, scimServer } from './scim-server.ts';
export { type IntakeSecrets, makeIntakeSecrets, readIntakeSecrets } from './secrets.ts';
export { readTokens, SOURCE, TOKEN_PREFIX, TOKENS_FILE, type TokenRecord, Tokens } from './tokens.ts';
export { uploadServer } from './upload-server.ts';
