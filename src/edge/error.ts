import { BartizanError } from '#base';

/** Codes: `registration`, `secrets`, `start`, `account`, `identity`. */
export class EdgeError extends BartizanError {}
