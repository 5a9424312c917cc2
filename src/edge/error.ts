import { BartizanError } from '#base';

/** Codes: `registration`, `start`. */
export class EdgeError extends BartizanError {}
