import { BartizanError } from '#base';

/** Codes: `no-ca`, `ca-token`, `bad-request`, `unknown-device`, `unknown-intent`, `too-many`, `bad-filter`, `unknown-group`, `name-taken`, `unknown-rule`, `unknown-kind`,
 * `already-leaving`, `too-late`, `unknown-retirement`, `two-people`, `unknown-profile`, `unknown-rollout`, `unknown-plan`, `unknown-window`. */
export class FleetError extends BartizanError {}
