interface Waiting<Input, Output> {
  readonly input: Input;
  resolve(output: Output): void;
  reject(error: unknown): void;
}

/**
 * Gathers single requests that arrive while an earlier batch is under way and serves them together. Alone it waits for
 * nothing: the first request goes out at once, so a quiet server answers as fast as without batches.
 */
export class Batch<Input, Output> {
  readonly #run: (inputs: readonly Input[]) => Promise<readonly Output[]>;
  readonly #most: number;
  readonly #lanes: number;
  readonly #alone: (error: unknown) => boolean;
  #busy = 0;
  #started = false;
  #waiting: Waiting<Input, Output>[] = [];

  /**
   * `run` answers inputs in order. At most `most` inputs a batch and `lanes` batches at a time. A batch that failed with an
   * error for which `alone` says so did nothing: each of its inputs is tried by itself, so that only the one to blame fails.
   */
  constructor(
    run: (inputs: readonly Input[]) => Promise<readonly Output[]>,
    options: { readonly most: number; readonly lanes: number; readonly alone?: (error: unknown) => boolean },
  ) {
    this.#run = run;
    this.#most = options.most;
    this.#lanes = options.lanes;
    this.#alone = options.alone ?? (() => false);
  }

  /** The answer for one input. Rejects with the error of the batch that it was in, or its own. */
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
        if (batch.length > 1 && this.#alone(error)) await this.#each(batch);
        else for (const { reject } of batch) reject(error);
      } finally {
        this.#busy -= 1;
      }
    }
  }

  async #each(batch: readonly Waiting<Input, Output>[]): Promise<void> {
    for (const { input, resolve, reject } of batch) {
      try {
        const [output] = await this.#run([input]);
        resolve(output as Output);
      } catch (error) {
        reject(error);
      }
    }
  }
}

/**
 * Whether the database failed over the values of one row (SQLSTATE: cardinality, data, integrity, limits, raised by us): its
 * statement did nothing. Not so if the connection, the server or its resources failed.
 */
export function ofOneRow(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(21|22|23|54|P0)[0-9A-Z]{3}$/.test(String(error.code));
}
