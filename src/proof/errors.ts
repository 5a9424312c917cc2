import { BartizanError } from '#base';

/** A log, checkpoint, tile or proof is not what it claims. Codes: `note`, `checkpoint`, `tile`, `entry`, `proof`, `key`. */
export class ProofError extends BartizanError {}
