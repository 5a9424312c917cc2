import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { PushOutcome } from '#wire';

const TIMEOUT_MS = 15_000;
/** A connection that nobody used for so long may be dead behind some NAT; a new one costs less than a timeout. */
const IDLE_MS = 10 * 60_000;
/** What is assumed before the peer's SETTINGS arrive (RFC 9113, section 6.5.2, recommends no less). */
const STREAMS_UNTIL_TOLD = 100;

export interface PushEndpoint {
  /** Origin, such as https://api.push.apple.com. */
  readonly url: string;
  /** PEM of the authority that signed the endpoint's certificate; the system's own authorities if it is left out. */
  readonly ca?: string;
  /** Milliseconds for one push; default 15 s. */
  readonly timeoutMs?: number;
}

/** No answer came. `worked`: the connection had been open, so a new one may do. */
export class PushLost extends Error {
  readonly worked: boolean;
  readonly outcome: PushOutcome;
  constructor(outcome: PushOutcome, worked: boolean) {
    super('reason' in outcome ? outcome.reason : outcome.kind);
    this.worked = worked;
    this.outcome = outcome;
  }
}

type Fields = IncomingHttpHeaders & IncomingHttpStatusHeader;

/** One HTTP/2 connection with certificate authentication. It ends once and is never mended. */
export class PushConnection {
  readonly #session: ClientHttp2Session;
  readonly #timeoutMs: number;
  /** Exchanges under way; each is told when the connection ends. */
  readonly #open = new Set<(lost: PushLost) => void>();
  #connected = false;
  #leaving = false;
  #lost: Extract<PushOutcome, { reason: string }> = { kind: 'retry', reason: 'Unreachable' };

  /** `onSettings` is called when the peer says how many streams it takes. */
  constructor({ url, ca, timeoutMs }: PushEndpoint, pem: string, onSettings: () => void) {
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS;
    const tls = { cert: pem, key: pem, minVersion: 'TLSv1.2' as const };
    const session = connect(url, { ...tls, ...(ca === undefined ? {} : { ca }) });
    session.on('connect', () => {
      this.#connected = true;
    });
    session.on('remoteSettings', onSettings);
    session.on('error', (error) => this.#note(error));
    // GOAWAY: what APNs has not processed is refused stream by stream, the rest is still answered.
    session.on('goaway', () => this.#leave());
    session.setTimeout(IDLE_MS, () => this.#leave());
    session.on('close', () => {
      this.#leaving = true;
      // Streams that know why come first.
      setImmediate(() => {
        for (const fail of [...this.#open]) fail(this.#loss());
      });
    });
    session.unref();
    this.#session = session;
  }

  get usable(): boolean {
    return !this.#leaving && !this.#session.closed && !this.#session.destroyed;
  }

  /** Streams that the peer takes at a time. */
  get streams(): number {
    if (!this.#connected) return STREAMS_UNTIL_TOLD;
    return this.#session.remoteSettings?.maxConcurrentStreams ?? STREAMS_UNTIL_TOLD;
  }

  destroy(): void {
    this.#leaving = true;
    this.#session.destroy();
  }

  /** One request and its whole answer, at most `max` characters of the body. Throws PushLost. */
  exchange(headers: OutgoingHttpHeaders, body: string, max: number): Promise<{ fields: Fields; text: string }> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#open.delete(fail);
        then();
      };
      const fail = (lost: PushLost) => settle(() => reject(lost));
      this.#open.add(fail);
      let stream: ReturnType<ClientHttp2Session['request']>;
      try {
        stream = this.#session.request(headers);
      } catch {
        // The connection ended between the look and the request.
        this.#leave();
        fail(new PushLost(this.#lost, true));
        return;
      }
      let fields: Fields | undefined;
      let text = '';
      timer = setTimeout(() => {
        // Whoever hangs once hangs for the others too: the next push opens a new connection.
        this.#leave();
        fail(new PushLost({ kind: 'retry', reason: 'Timeout' }, false));
        stream.close(constants.NGHTTP2_CANCEL);
      }, this.#timeoutMs);
      stream.on('response', (given) => {
        fields = given;
      });
      stream.setEncoding('utf8').on('data', (part: string) => {
        if (text.length < max) text += part;
      });
      // `close` follows and tells what became of it. A TLS 1.3 alert after the handshake shows here first.
      stream.on('error', (error) => this.#note(error));
      stream.on('close', () => {
        if (fields !== undefined && stream.rstCode === constants.NGHTTP2_NO_ERROR) {
          const answer = { fields, text };
          settle(() => resolve(answer));
          return;
        }
        // Refused unprocessed (GOAWAY), reset, or cut off with the connection: if that is why, `close` of the session
        // follows at once and knows the reason.
        setImmediate(() => {
          if (this.#open.has(fail)) fail(this.#loss());
        });
      });
      stream.end(body);
    });
  }

  #note(error: unknown): void {
    const loss = lossOf(error);
    if (loss.kind === 'refused' || loss.reason !== 'Unreachable') this.#lost = loss;
  }

  #loss(): PushLost {
    return new PushLost(this.#lost, this.#connected && this.#lost.kind === 'retry');
  }

  #leave(): void {
    this.#leaving = true;
    if (!this.#session.closed) this.#session.close();
  }
}

/** What an error of the connection means, as an outcome with a word of ours: no addresses. */
function lossOf(error: unknown): Extract<PushOutcome, { reason: string }> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // An alert is what the peer thinks of us, that is of our certificate.
  if (/ALERT/.test(code)) return { kind: 'refused', reason: 'CertificateRefused' };
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO|TLS|SSL/.test(code)) return { kind: 'retry', reason: 'EndpointNotTrusted' };
  return { kind: 'retry', reason: 'Unreachable' };
}
