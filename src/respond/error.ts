import { BartizanError } from '#base';

/** Codes: `unknown-approval`, `approval-closed`, `bad-request`, `unknown-person`, `bad-message`. */
export class RespondError extends BartizanError {}
