import { BartizanError } from '#base';

/** Codes: `no-ca`, `bad-request`, `unknown-device`, `unknown-intent`, `too-many`, `dangerous-profile`, `invalid-declaration`. */
export class FleetError extends BartizanError {}
