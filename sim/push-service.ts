import { createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import {
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Certificate, issueCertificate, makeCa, parseCertificate, toPem, topicOfCertificate } from '#wire';

/** Answers on purpose instead of the right one, as APNs gives them; each use counts one down. */
export interface PushFault {
  times: number;
  readonly status: number;
  readonly reason: string;
  /** Milliseconds, for 410. */
  readonly timestamp?: number;
  /** Seconds that the client is asked to wait, for 429 and 503. */
  readonly retryAfter?: number;
}

export interface Pushed {
  readonly token: string;
  readonly magic: string;
  readonly apnsId: string;
  readonly expiration: number;
}

interface Authority {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

const DAYS = 365;
const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }) as string;
const ecKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const spkiOf = (key: KeyObject) => createPublicKey(key).export({ format: 'der', type: 'spki' });

/**
 * A push service that plays APNs by its rules: HTTP/2 over TLS, a client certificate of its own authority whose user ID is
 * the topic, the header fields and the body of an MDM push. It knows only the tokens that it was told of.
 */
export class PushService {
  /** Called for every push that was taken; a simulated phone wakes here. */
  onPush: (pushed: Pushed) => void = () => {};
  /** By token (hexadecimal), or `*` for all. */
  readonly faults = new Map<string, PushFault>();
  readonly pushed: Pushed[] = [];
  /** Why requests were refused, in order. */
  readonly refused: string[] = [];
  /** Connections that were opened so far, and the most requests that were under way at once. */
  connections = 0;
  peak = 0;
  /** Requests that arrived so far, answered or not. */
  arrived = 0;
  /** While it is set, answers wait for this. */
  hold: Promise<void> | undefined;
  readonly #maxStreams: number;
  #busy = 0;
  readonly #authority: Authority;
  readonly #tokens = new Set<string>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #server: Http2SecureServer | undefined;

  /** `maxStreams`: how many requests a connection may hold at a time. */
  constructor(options: { readonly maxStreams?: number } = {}) {
    this.#maxStreams = options.maxStreams ?? 1_000;
    const key = ecKey();
    this.#authority = {
      key,
      certificate: makeCa(key, { commonName: 'Simulated push authority', days: 2 * DAYS, now: Date.now() }),
    };
  }

  /** PEM of the authority: what a client must trust. */
  get ca(): string {
    return toPem('CERTIFICATE', this.#authority.certificate.der);
  }

  /** A push certificate with its key, as PEM, as Apple's portal would give it. `validDays` may be negative. */
  issue(topic: string, validDays = DAYS): string {
    const key = ecKey();
    const certificate = issueCertificate(this.#authority, {
      ...{ spki: spkiOf(key), commonName: `APSP:${randomUUID()}`, userId: topic, usage: 'device' as const },
      ...{ days: Math.max(validDays, 0), now: Date.now() + Math.min(validDays, 0) * 86_400_000 },
    });
    return `${toPem('CERTIFICATE', certificate.der)}${pem(key)}`;
  }

  /** Key and certificate for a server on loopback, as PEM. */
  serverIdentity(): { key: string; certificate: string } {
    const key = ecKey();
    const { der } = issueCertificate(this.#authority, {
      ...{ spki: spkiOf(key), commonName: 'Simulated push service', usage: 'server' as const },
      ...{ addresses: ['127.0.0.1', 'localhost'], days: DAYS, now: Date.now() },
    });
    return { key: pem(key), certificate: toPem('CERTIFICATE', der) };
  }

  /** Tells it of a device's token (bytes). */
  knows(token: Uint8Array): void {
    this.#tokens.add(Buffer.from(token).toString('hex'));
  }

  /** The app was removed or the phone erased. */
  forgets(token: Uint8Array): void {
    this.#tokens.delete(Buffer.from(token).toString('hex'));
  }

  /** Listens on loopback; port 0 takes any. Answers the origin. */
  async listen(port = 0): Promise<string> {
    const { key, certificate } = this.serverIdentity();
    const server = createSecureServer({
      ...{ key, cert: certificate, ca: this.ca },
      ...{ requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' as const },
      settings: { maxConcurrentStreams: this.#maxStreams },
    });
    server.on('session', (session) => {
      this.#sessions.add(session);
      this.connections += 1;
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => {});
    });
    server.on('stream', (stream, headers) => void this.#serve(stream, headers as Record<string, string>));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Ends all connections with GOAWAY, as APNs does for maintenance. `last`: streams above it were not processed. */
  goAway(last?: number): void {
    for (const session of this.#sessions) {
      if (last === undefined) session.goaway(0);
      else session.goaway(0, last);
    }
  }

  /** Cuts all connections without a word. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    await new Promise<void>((resolve) =>
      this.#server === undefined ? resolve() : this.#server.close(() => resolve()),
    );
  }

  async #serve(stream: ServerHttp2Stream, headers: Record<string, string>): Promise<void> {
    stream.on('error', () => {});
    this.arrived += 1;
    this.#busy += 1;
    this.peak = Math.max(this.peak, this.#busy);
    stream.on('close', () => {
      this.#busy -= 1;
    });
    let body = '';
    try {
      for await (const part of stream.setEncoding('utf8')) {
        body += part;
        if (body.length > 8_192) break;
      }
    } catch {
      // the client gave up while it sent
      return;
    }
    const apnsId = headers['apns-id'] ?? randomUUID().toUpperCase();
    const token = /^\/3\/device\/([0-9a-f]+)$/.exec(headers[':path'] ?? '')?.[1] ?? '';
    const fault = this.#judge(stream, headers, token, body);
    if (this.hold !== undefined) await this.hold;
    if (stream.destroyed) return;
    if (fault !== undefined) {
      this.refused.push(fault.reason);
      // Status 0 plays a service that never answers.
      if (fault.status === 0) return;
      stream.respond({
        ...{ ':status': fault.status, 'apns-id': apnsId, 'content-type': 'application/json' },
        ...(fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }),
      });
      stream.end(JSON.stringify({ reason: fault.reason, timestamp: fault.timestamp }));
      return;
    }
    stream.respond({ ':status': 200, 'apns-id': apnsId });
    stream.end();
    const { mdm: magic } = JSON.parse(body) as { mdm: string };
    const pushed = { token, magic, apnsId, expiration: Number(headers['apns-expiration']) };
    this.pushed.push(pushed);
    this.onPush(pushed);
  }

  #judge(
    stream: ServerHttp2Stream,
    headers: Record<string, string>,
    token: string,
    body: string,
  ): Omit<PushFault, 'times'> | undefined {
    const topic = this.#topicOf(stream);
    if (topic === undefined) return { status: 403, reason: 'BadCertificate' };
    if (headers[':method'] !== 'POST') return { status: 405, reason: 'MethodNotAllowed' };
    for (const key of [token, '*']) {
      const fault = this.faults.get(key);
      if (fault === undefined || fault.times <= 0) continue;
      fault.times -= 1;
      return fault;
    }
    if (token === '') return { status: 404, reason: 'BadPath' };
    if (headers['apns-push-type'] !== 'mdm') return { status: 400, reason: 'InvalidPushType' };
    if (headers['apns-topic'] === undefined) return { status: 400, reason: 'MissingTopic' };
    if (headers['apns-topic'] !== topic) return { status: 400, reason: 'TopicDisallowed' };
    if (!/^\d+$/.test(headers['apns-expiration'] ?? '0')) return { status: 400, reason: 'BadExpirationDate' };
    if (!['10', '5', '1'].includes(headers['apns-priority'] ?? '10')) return { status: 400, reason: 'BadPriority' };
    if (body === '') return { status: 400, reason: 'PayloadEmpty' };
    if (body.length > 4_096) return { status: 413, reason: 'PayloadTooLarge' };
    if (token.length !== 64 || !this.#tokens.has(token)) return { status: 400, reason: 'BadDeviceToken' };
    return undefined;
  }

  /** The topic of the client's certificate, if our authority signed it and it is valid now. */
  #topicOf(stream: ServerHttp2Stream): string | undefined {
    const socket = stream.session?.socket as TLSSocket | undefined;
    const raw = socket?.getPeerX509Certificate();
    if (raw === undefined) return undefined;
    try {
      const authority = createPublicKey(this.ca);
      const now = Date.now();
      if (!raw.verify(authority) || now < Date.parse(raw.validFrom) || now > Date.parse(raw.validTo)) return undefined;
      return topicOfCertificate(parseCertificate(raw.raw));
    } catch {
      return undefined;
    }
  }
}
