/**
 * A secret or personal value on its short way to being sealed. It cannot be printed, joined, serialised or inspected
 * by accident: only `use` reveals it, so every place that touches plaintext can be found by searching for that word.
 */
export class Sealed<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** Runs `work` with the plaintext; the result must not be the plaintext itself. */
  use<R>(work: (value: T) => R): R {
    return work(this.#value);
  }

  toString(): never {
    throw new TypeError('a sealed value has no text form');
  }

  toJSON(): never {
    throw new TypeError('a sealed value has no JSON form');
  }

  [Symbol.toPrimitive](): never {
    throw new TypeError('a sealed value has no primitive form');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return 'Sealed';
  }
}
