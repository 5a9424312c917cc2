/** So many requests at once from one address, then so many a second. */
export class Rate {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #most: number;
  readonly #left = new Map<string, { tokens: number; at: number }>();

  constructor(burst: number, perSecond: number, most = 10_000) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#most = most;
  }

  /** True if one more may come now. Milliseconds. */
  admit(who: string, now: number): boolean {
    const last = this.#left.get(who) ?? { tokens: this.#burst, at: now };
    const tokens = Math.min(this.#burst, last.tokens + ((now - last.at) / 1000) * this.#perSecond);
    // Put last again, so that the map begins with whoever was away longest.
    this.#left.delete(who);
    if (this.#left.size >= this.#most) this.#left.delete(this.#left.keys().next().value!);
    this.#left.set(who, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    return tokens >= 1;
  }
}
