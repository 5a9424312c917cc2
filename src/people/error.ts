import { BartizanError } from '#base';

/** Codes: `refused-file`, `too-large`, `not-csv`, `too-many`. */
export class PeopleError extends BartizanError {}
