import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { type PushOutcome, pushOutcome, pushRequest } from '#wire';
import type { PushCertificate } from './certificate.ts';

const TIMEOUT_MS = 15_000;
const MAX_ANSWER = 4_096;
/** Streams at a time; APNs allows more or fewer by its settings, and fewer is what holds. */
const STREAMS = 200;

export interface PushEndpoint {
  /** Origin, such as https://api.push.apple.com. */
  readonly url: string;
  /** PEM of the authority that signed the endpoint's certificate; the system's own authorities if it is left out. */
  readonly ca?: string;
}

/** One connection to APNs with certificate authentication, opened when it is first needed and again after it ends. */
export class PushClient {
  readonly certificate: PushCertificate;
  readonly #endpoint: PushEndpoint;
  #session: ClientHttp2Session | undefined;
  #free = STREAMS;
  readonly #waiting: (() => void)[] = [];

  constructor(endpoint: PushEndpoint, certificate: PushCertificate) {
    this.#endpoint = endpoint;
    this.certificate = certificate;
  }

  /** Sends one push. Never rejects: what goes wrong on the way is an outcome to retry. `expiration` in seconds since 1970. */
  async send(push: {
    readonly token: Uint8Array;
    readonly magic: string;
    readonly expiration: number;
  }): Promise<PushOutcome> {
    await this.#enter();
    try {
      return await this.#ask(pushRequest({ ...push, topic: this.certificate.topic }));
    } catch (error) {
      return { kind: 'retry', reason: reasonOf(error) };
    } finally {
      this.#leave();
    }
  }

  /**
   * Asks APNs for a device that cannot exist. With a certificate that it accepts, the answer is BadDeviceToken: the whole
   * way is open, and no phone was woken. Returns `accepted`, or why not.
   */
  async canary(): Promise<'accepted' | string> {
    const outcome = await this.send({ token: Buffer.alloc(32), magic: 'canary', expiration: 0 });
    if (outcome.kind === 'invalid' && outcome.reason !== 'DeviceTokenNotForTopic') return 'accepted';
    return outcome.kind === 'sent' ? 'accepted' : outcome.reason;
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  #open(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const { url, ca } = this.#endpoint;
    const { pem } = this.certificate;
    const session = connect(url, { cert: pem, key: pem, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) });
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    // Each stream reports its own failure; a session error without a listener would end the process.
    session.on('error', forget);
    session.on('close', forget);
    session.on('goaway', () => {
      forget();
      session.close();
    });
    session.unref();
    this.#session = session;
    return session;
  }

  #ask({ headers, body }: ReturnType<typeof pushRequest>): Promise<PushOutcome> {
    return new Promise((resolve, reject) => {
      const session = this.#open();
      let stream: ClientHttp2Stream;
      try {
        stream = session.request(headers);
      } catch (error) {
        reject(error as Error);
        return;
      }
      let status = 0;
      let apnsId: string | undefined;
      let answer = '';
      // A session that never connects gives its streams no error of their own.
      const fail = (error: Error) => reject(error);
      session.once('error', fail);
      stream.setTimeout(TIMEOUT_MS, () => stream.destroy(new Error('timeout')));
      stream.on('response', (fields) => {
        status = Number(fields[':status']);
        const id = fields['apns-id'];
        apnsId = typeof id === 'string' ? id : undefined;
      });
      stream.setEncoding('utf8').on('data', (part: string) => {
        if (answer.length < MAX_ANSWER) answer += part;
      });
      stream.on('error', reject);
      stream.on('close', () => {
        session.off('error', fail);
        if (status === 0) reject(new Error('closed'));
        else resolve(pushOutcome(status, apnsId, answer));
      });
      stream.end(body);
    });
  }

  async #enter(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

/** A code for what went wrong on the way, without addresses. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/CERT|SELF_SIGNED|ALTNAME|TLS|SSL/.test(code)) return 'TlsFailed';
  return error instanceof Error && error.message === 'timeout' ? 'Timeout' : 'Unreachable';
}
