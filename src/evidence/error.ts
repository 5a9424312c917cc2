import { BartizanError } from '#base';

/** Codes: `settings`, and of what outsiders answered: `unreachable`, `answer`, `unknown-log`, `wrong-key`, `fork`, `ahead`, … */
export class EvidenceError extends BartizanError {}
