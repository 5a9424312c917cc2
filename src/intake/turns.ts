/** Work on the same thing one after the other; on different things side by side. */
export class Turns {
  readonly #waiting = new Map<string, Promise<unknown>>();

  take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#waiting.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const ended = mine.then(
      () => {},
      () => {},
    );
    this.#waiting.set(key, ended);
    void ended.then(() => {
      if (this.#waiting.get(key) === ended) this.#waiting.delete(key);
    });
    return mine;
  }
}
