import { BartizanError } from '#base';

/**
 * Codes: `bad-request`, `signed-out`, `not-allowed`, `wrong-origin`, `not-found`, `method`, `too-large`, `sign-in-refused`,
 * `guards-unavailable`.
 */
export class ApiError extends BartizanError {}
