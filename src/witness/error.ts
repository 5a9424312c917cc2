import { BartizanError } from '#base';

/** Codes: `usage`, `state`, `refused`. */
export class WitnessError extends BartizanError {}
