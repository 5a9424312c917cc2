import { BartizanError } from '#base';

/** Codes: `unknown-incident`, `bad-incident`, `t0-confirmed`, `incident-closed`, `log-incomplete`. */
export class IncidentError extends BartizanError {}
