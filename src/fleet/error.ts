import { BartizanError } from '#base';

/** Codes: `no-ca`, `bad-request`, `unknown-device`, `unknown-intent`, `too-many`, `dangerous-profile`, `bad-filter`, `unknown-group`, `name-taken`. */
export class FleetError extends BartizanError {}
