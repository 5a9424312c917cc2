/** Milliseconds since the Unix epoch. A door, so that tests can move time. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();
