import type { Channel } from '#seal';
import type { Outcome } from './outcome.ts';

/** Failures in a row after which a gateway counts as down. */
const DOWN = 5;
const FIRST_MS = 10_000;
const LAST_MS = 300_000;

/** Whether what went wrong is the gateway's state rather than this message. */
const isDown = (outcome: Outcome): boolean =>
  outcome.end === 'again' &&
  /^(unreachable|no-answer|gateway-(429|5\d\d)|smtp-421|eauth|etls|edns)$/.test(outcome.reason);

/**
 * While a gateway is down one message at a time tries it, with growing pauses: each try opens an address, which counts and is
 * written down, and a hundred waiting messages would spend the hour's budget on nothing.
 */
export class Breaker {
  readonly #now: () => number;
  readonly #failures = new Map<Channel, number>();
  readonly #until = new Map<Channel, number>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  saw(channel: Channel, outcome: Outcome): void {
    if (!isDown(outcome)) {
      this.#failures.delete(channel);
      this.#until.delete(channel);
      return;
    }
    const failures = (this.#failures.get(channel) ?? 0) + 1;
    this.#failures.set(channel, failures);
    if (failures < DOWN) return;
    const pause = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(failures - DOWN, 10));
    this.#until.set(channel, this.#now() + pause);
  }

  /** Other settings: what was down may be up. */
  reset(): void {
    this.#failures.clear();
    this.#until.clear();
  }

  /** Those that may be tried now. */
  open(channels: readonly Channel[]): Channel[] {
    return channels.filter((channel) => (this.#until.get(channel) ?? 0) <= this.#now());
  }

  /** How many messages may be taken for these at once. */
  most(channels: readonly Channel[], batch: number): number {
    return channels.some((channel) => (this.#failures.get(channel) ?? 0) >= DOWN) ? 1 : batch;
  }
}
