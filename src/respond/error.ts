import { BartizanError } from '#base';

/** Codes: `unknown-approval`, `approval-closed`, `bad-request`. */
export class RespondError extends BartizanError {}
