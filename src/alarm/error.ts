import { BartizanError } from '#base';

/** Codes: `settings`. */
export class AlarmError extends BartizanError {}
