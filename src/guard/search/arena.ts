const FIRST_BYTES = 64 * 1024;

/** Bytes one after the other in a single buffer, which is wiped when it grows and when it is given up. */
export class Arena {
  #bytes = Buffer.alloc(0);
  #end = 0;

  /** Everything written so far: a view that the next `append` may make useless. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Returns where it begins. */
  append(part: Uint8Array): number {
    if (this.#end + part.length > this.#bytes.length) {
      const size = Math.max(FIRST_BYTES, this.#bytes.length * 2, this.#end + part.length);
      // Not from Node's pool: what lies there is shared with all else.
      const grown = Buffer.allocUnsafeSlow(size);
      grown.fill(0);
      this.#bytes.copy(grown, 0, 0, this.#end);
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    this.#bytes.set(part, this.#end);
    this.#end += part.length;
    return this.#end - part.length;
  }

  erase(from: number, to: number): void {
    this.#bytes.fill(0, from, to);
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#bytes = Buffer.alloc(0);
    this.#end = 0;
  }
}
