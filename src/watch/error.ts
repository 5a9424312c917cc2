import { BartizanError } from '#base';

/** Code `bad-rule`: a rule that is not understood is not loaded, and says why. */
export class WatchError extends BartizanError {}
