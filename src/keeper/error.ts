import { BartizanError } from '#base';

/**
 * Codes: `waiting` (shares are missing), `unreachable` (the key service), `refused` (it said no), `wrong-key`, `unknown-key`,
 * `token`, `share`, `busy`.
 */
export class KeeperError extends BartizanError {}
