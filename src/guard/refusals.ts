import { MINUTE } from './time.ts';

/**
 * Refusals are recorded one by one up to a number per minute; what is beyond is counted and told with the next one, so
 * that an attacker can neither fill the disk nor hide.
 */
export class RefusalBook {
  readonly #perMinute: number;
  #minute = 0;
  #written = 0;
  #more = 0;

  constructor(perMinute = 60) {
    this.#perMinute = perMinute;
  }

  /** How many unrecorded refusals to tell with this one, or undefined if this one is only counted. */
  admit(now: number): number | undefined {
    const minute = Math.floor(now / MINUTE);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#written = 0;
    }
    if (this.#written >= this.#perMinute) {
      this.#more++;
      return undefined;
    }
    this.#written++;
    const more = this.#more;
    this.#more = 0;
    return more;
  }
}
