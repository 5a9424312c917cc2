import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { fromBase64url } from '#base';
import { KeeperError } from './error.ts';
import type { ServiceSettings } from './settings.ts';

const TIMEOUT_MS = 8_000;
const ANSWER_BYTES = 64 * 1024;

/**
 * Wraps and unwraps at a transit engine: `POST /v1/<mount>/encrypt/<key>` and `…/decrypt/<key>` with a batch of one, as OpenBao and Vault
 * document it. What is wrapped is bound to the organisation key's public half as associated data. What goes there is not the
 * key itself but a box that only the sealer opens. Throws KeeperError `unreachable`, `refused`.
 */
export class KeyService {
  readonly #settings: ServiceSettings;
  readonly #timeoutMs: number;

  constructor(settings: ServiceSettings, options: { readonly timeoutMs?: number } = {}) {
    this.#settings = settings;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /** The service's text for a box, such as `vault:v1:…`. */
  async wrap(box: Buffer, key: string): Promise<string> {
    const [{ ciphertext }] = await this.#ask('encrypt', [{ plaintext: box.toString('base64'), ...bound(key) }]);
    if (typeof ciphertext !== 'string' || !/^[\x21-\x7e]{1,4096}$/.test(ciphertext)) throw refused('no ciphertext');
    return ciphertext;
  }

  async unwrap(ciphertext: string, key: string): Promise<Buffer> {
    const [{ plaintext }] = await this.#ask('decrypt', [{ ciphertext, ...bound(key) }]);
    if (typeof plaintext !== 'string') throw refused('no plaintext');
    return Buffer.from(plaintext, 'base64');
  }

  async #ask(verb: 'encrypt' | 'decrypt', batch: readonly [object]): Promise<[Record<string, unknown>]> {
    const { key, mount = 'transit' } = this.#settings;
    const answer = await this.#post(`/v1/${mount}/${verb}/${key}`, JSON.stringify({ batch_input: batch }));
    const data = (answer as { data?: { batch_results?: unknown } } | null)?.data;
    const results = data?.batch_results;
    if (!Array.isArray(results) || results.length !== 1) throw refused('an answer of another form');
    const [one] = results as [unknown];
    if (typeof one !== 'object' || one === null) throw refused('an answer of another form');
    const result = one as Record<string, unknown>;
    // The service's own words may quote what was sent; they are not passed on.
    if (typeof result['error'] === 'string' && result['error'] !== '') throw refused('the item was refused');
    return [result];
  }

  #post(path: string, body: string): Promise<unknown> {
    const { url, ca, tokenFile } = this.#settings;
    let token: string;
    try {
      token = readFileSync(tokenFile, 'utf8').split('\n')[0]!.trim();
    } catch (cause) {
      throw new KeeperError('unreachable', 'The key service’s token file cannot be read.', { cause });
    }
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, url), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'x-vault-token': token,
          'x-vault-request': 'true',
        },
        agent: false,
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
        ...(ca === undefined ? {} : { ca }),
      });
      // The whole exchange has this long, however slowly bytes drip.
      const timer = setTimeout(() => call.destroy(new Error('no answer in time')), this.#timeoutMs);
      const fail = (error: Error) => {
        clearTimeout(timer);
        reject(error instanceof KeeperError ? error : unreachable(error));
      };
      call.on('error', fail);
      call.on('response', (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > ANSWER_BYTES) call.destroy(refused('an answer that is too long'));
          else parts.push(part);
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          const status = response.statusCode ?? 0;
          if (status >= 500 || status === 429) return reject(unreachable());
          if (status !== 200) return reject(refused(`status ${status}`));
          try {
            resolve(JSON.parse(Buffer.concat(parts).toString('utf8')));
          } catch {
            reject(refused('an answer that is not JSON'));
          }
        });
      });
      call.end(body);
    });
  }
}

const bound = (key: string) => ({ associated_data: Buffer.from(fromBase64url(key)).toString('base64') });
const unreachable = (cause?: unknown) =>
  new KeeperError('unreachable', 'The key service does not answer. It is asked again.', { cause });
const refused = (why: string) => new KeeperError('refused', `The key service gave no usable answer: ${why}.`);
