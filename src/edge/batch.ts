/**
 * Gathers single requests that arrive while an earlier batch is under way and serves them together. Alone it waits for
 * nothing: the first request goes out at once, so a quiet server answers as fast as without batches.
 */
export class Batch<Input, Output> {
  readonly #run: (inputs: readonly Input[]) => Promise<readonly Output[]>;
  readonly #most: number;
  readonly #lanes: number;
  #busy = 0;
  #started = false;
  #waiting: { input: Input; resolve(output: Output): void; reject(error: unknown): void }[] = [];

  /** `run` answers inputs in order. At most `most` inputs a batch and `lanes` batches at a time. */
  constructor(
    run: (inputs: readonly Input[]) => Promise<readonly Output[]>,
    options: { readonly most: number; readonly lanes: number },
  ) {
    this.#run = run;
    this.#most = options.most;
    this.#lanes = options.lanes;
  }

  /** The answer for one input. Rejects with the error of the batch that it was in. */
  ask(input: Input): Promise<Output> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      // What arrives in the same turn of the event loop travels together.
      if (this.#busy < this.#lanes && !this.#started) {
        this.#started = true;
        setImmediate(() => {
          this.#started = false;
          void this.#next();
        });
      }
    });
  }

  async #next(): Promise<void> {
    while (this.#busy < this.#lanes && this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most);
      this.#busy += 1;
      try {
        const outputs = await this.#run(batch.map(({ input }) => input));
        for (const [index, { resolve, reject }] of batch.entries()) {
          if (index < outputs.length) resolve(outputs[index]!);
          else reject(new Error('a batch came back short'));
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      } finally {
        this.#busy -= 1;
      }
    }
  }
}
