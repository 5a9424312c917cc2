import { BartizanError } from '#base';

/** Codes: `registration`, `secrets`, `start`. */
export class EdgeError extends BartizanError {}
