import { BartizanError } from '#base';

/**
 * Codes: `bad-request`, `signed-out`, `not-allowed`, `wrong-origin`, `not-found`, `method`, `too-large`, `sign-in-refused`,
 * `guards-unavailable`, `not-this-browser`, `proof-stale`.
 */
export class ApiError extends BartizanError {}
