import { BartizanError } from '#base';

/** Codes: `settings`. */
export class CourierError extends BartizanError {}
