import { constants } from 'node:http2';
import { type PushOutcome, pushOutcome, pushRequest } from '#wire';
import type { PushCertificate } from './certificate.ts';
import { PushConnection, type PushEndpoint, PushLost } from './connection.ts';

const MAX_ANSWER = 4_096;
/** Streams at a time; APNs allows more or fewer by its settings, and fewer is what holds. */
const STREAMS = 500;
/** How often one push is tried on a new connection when the old one ended under it. */
const TRIES = 3;

export interface Push {
  readonly token: Uint8Array;
  readonly magic: string;
  /** Seconds since 1970. */
  readonly expiration: number;
}

/** Speaks to APNs with one certificate: one connection at a time, opened when it is needed and again after it ends. */
export class PushClient {
  readonly certificate: PushCertificate;
  readonly #endpoint: PushEndpoint;
  readonly #now: () => number;
  #connection: PushConnection | undefined;
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(endpoint: PushEndpoint, certificate: PushCertificate, now: () => number = Date.now) {
    this.#endpoint = endpoint;
    this.certificate = certificate;
    this.#now = now;
  }

  /** Sends one push. Never rejects: what goes wrong on the way is an outcome. */
  async send(push: Push): Promise<PushOutcome> {
    // APNs ends the handshake with such a certificate; the reason is known without asking.
    if (this.#now() > this.certificate.certificate.notAfter) return { kind: 'refused', reason: 'CertificateExpired' };
    await this.#enter();
    try {
      for (let tried = 1; ; tried += 1) {
        try {
          return await this.#ask(push);
        } catch (error) {
          if (!(error instanceof PushLost)) throw error;
          // Sent again at once only where a connection that worked went away: a push twice is a push once to APNs.
          if (!error.worked || tried >= TRIES) return error.outcome;
        }
      }
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
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  #open(): PushConnection {
    if (this.#connection?.usable !== true) {
      const { pem } = this.certificate;
      this.#connection = new PushConnection(this.#endpoint, pem, () => this.#admit());
    }
    return this.#connection;
  }

  async #ask(push: Push): Promise<PushOutcome> {
    const { headers, body } = pushRequest({ ...push, topic: this.certificate.topic });
    const { fields, text } = await this.#open().exchange(headers, body, MAX_ANSWER);
    const id = fields['apns-id'];
    const after = Number(fields[constants.HTTP2_HEADER_RETRY_AFTER]);
    return pushOutcome(Number(fields[':status']), typeof id === 'string' ? id : undefined, text, after);
  }

  #limit(): number {
    return Math.max(1, Math.min(STREAMS, this.#connection?.streams ?? STREAMS));
  }

  async #enter(): Promise<void> {
    if (this.#busy < this.#limit()) this.#busy += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    this.#busy -= 1;
    this.#admit();
  }

  /** Lets in whoever waits, as far as APNs' settings allow now. */
  #admit(): void {
    while (this.#waiting.length > 0 && this.#busy < this.#limit()) {
      this.#busy += 1;
      this.#waiting.shift()!();
    }
  }
}
