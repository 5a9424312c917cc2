import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from './outcome.ts';

/** Few, so that they fail when the gateway fails. */
const KEPT = 12;

/**
 * Messages to people who must not be written to end like the others: as long after, and as well, as one of the last that were
 * really sent. Otherwise their rows would tell who they are.
 */
export class Shadow {
  readonly #seen: { readonly ms: number; readonly outcome: Outcome }[] = [];

  saw(ms: number, outcome: Outcome): void {
    this.#seen.push({ ms, outcome });
    if (this.#seen.length > KEPT) this.#seen.shift();
  }

  /** Takes as long and ends as one of them; before the first it is `sent`. */
  async play(): Promise<Outcome> {
    const like = this.#seen.length === 0 ? undefined : this.#seen[randomInt(this.#seen.length)];
    await sleep(like?.ms ?? 20 + randomInt(200));
    return like?.outcome ?? { end: 'sent' };
  }
}
