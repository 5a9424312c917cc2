import { BartizanError } from '#base';

/** Codes: `no-binaries`, `start-failed`, `stop-failed`, `migration-changed`, `migration-failed`, `in-use`, `no-password`, `bad-url`. */
export class StoreError extends BartizanError {}
