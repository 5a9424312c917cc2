import { BartizanError } from '#base';

/** Codes: `no-ca`, `ca-token`, `bad-request`, `unknown-device`, `unknown-intent`, `too-many`, `dangerous-profile`, `bad-filter`, `unknown-group`, `name-taken`, `unknown-rule`, `unknown-kind`,
 * `already-leaving`, `too-late`, `unknown-retirement`. */
export class FleetError extends BartizanError {}
