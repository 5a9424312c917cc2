/** A seeded random source (sfc32): the same seed throws the same numbers on every machine. */
export class Dice {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = 0x9e37_79b9;
    this.#c = 0x243f_6a88;
    for (let n = 0; n < 12; n += 1) this.next();
  }

  /** 32 bits. */
  next(): number {
    const out = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + out;
    return out >>> 0;
  }

  /** 0 to n - 1; 0 for an n below 1. */
  below(n: number): number {
    return n < 1 ? 0 : this.next() % n;
  }

  /** True once in n. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** 1 to n, small ones as often as large ones: every doubling is as likely. */
  size(n: number): number {
    return Math.max(1, Math.min(n, Math.floor(2 ** ((this.next() / 2 ** 32) * Math.log2(n + 1)))));
  }

  bytes(n: number): Buffer {
    const out = Buffer.allocUnsafe(n);
    for (let i = 0; i < n; i += 1) out[i] = this.next() & 0xff;
    return out;
  }
}
