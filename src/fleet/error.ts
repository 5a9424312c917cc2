import { BartizanError } from '#base';

/** Codes: `no-ca`, `bad-request`, `unknown-device`, `unknown-intent`, `too-many`, `two-people`, `unknown-profile`, `unknown-rollout`, `unknown-window`, `bad-filter`, `unknown-group`, `name-taken`. */
export class FleetError extends BartizanError {}
