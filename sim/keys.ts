import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';

const generate = (bits: number): Promise<string> =>
  new Promise((resolve, reject) => {
    // The runtime's thread pool makes the key, so several at once use several cores.
    generateKeyPair('rsa', { modulusLength: bits }, (error, _public, key) =>
      error ? reject(error) : resolve(key.export({ type: 'pkcs8', format: 'der' }).toString('base64')),
    );
  });

/** RSA keys for phones, made ahead and kept by the caller: making 200 takes many seconds. PKCS#8 DER in base64. */
export class KeyPool {
  readonly #keys: string[];
  #next = 0;
  readonly #options: { readonly bits?: number; readonly repeat?: boolean };

  /** `saved`: keys from an earlier run. A pool that runs out makes new ones, or repeats if `repeat` is set. */
  constructor(saved: readonly string[] = [], options: { readonly bits?: number; readonly repeat?: boolean } = {}) {
    this.#keys = [...saved];
    this.#options = options;
  }

  /** Makes keys, `parallel` at a time, until the pool holds `count`. */
  async fill(count: number, parallel = 2): Promise<void> {
    const worker = async (): Promise<void> => {
      while (this.#keys.length + pending < count) {
        pending += 1;
        try {
          this.#keys.push(await generate(this.#options.bits ?? 2048));
        } finally {
          pending -= 1;
        }
      }
    };
    let pending = 0;
    await Promise.all(Array.from({ length: parallel }, worker));
  }

  async take(): Promise<string> {
    const index = this.#next++;
    if (this.#keys[index] === undefined && this.#options.repeat && this.#keys.length > 0) {
      return this.#keys[index % this.#keys.length]!;
    }
    if (this.#keys[index] === undefined) this.#keys[index] = await generate(this.#options.bits ?? 2048);
    return this.#keys[index]!;
  }

  /** All keys, for the caller to keep. */
  saved(): readonly string[] {
    return this.#keys.filter((key) => key !== undefined);
  }
}

export function readKey(base64: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs8' });
}
