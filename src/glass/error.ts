import { BartizanError } from '#base';

/** Codes: `bad-request`, `wrong-origin`, `not-found`, `method`, `too-large`, `closed`, `not-allowed`. */
export class GlassError extends BartizanError {}
