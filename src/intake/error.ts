import { BartizanError } from '#base';

/** Codes: `secrets`, `unauthorized`, `slow-down`, `busy`, `too-large`, `not-scim`, `not-found`, `method`, `again`, `gone`, `not-permitted`, `bad-request`. */
export class IntakeError extends BartizanError {}
