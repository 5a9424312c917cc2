import { createPublicKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { type AttestationServer, attestationObject } from './attestation.ts';
import { bits, context, int, oid, seq } from './der.ts';
import type { Answer, Send } from './http.ts';
import { encodeName, type SubjectParts } from './scep.ts';

/** The server refused; `type` is the last part of the problem's type, such as `badNonce`. */
export class AcmeRefused extends Error {
  readonly type: string;
  readonly status: number;
  constructor(status: number, type: string, detail: string) {
    super(`the server refused: ${type} (${detail})`);
    this.name = 'AcmeRefused';
    this.type = type;
    this.status = status;
  }
}

const b64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url');

interface Order {
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate?: string;
  readonly error?: { readonly type: string; readonly detail: string };
}

interface Authorization {
  readonly status: string;
  readonly challenges: readonly {
    readonly type: string;
    readonly url: string;
    readonly token: string;
    readonly status: string;
  }[];
}

/** An ACME client (RFC 8555) with an ES256 account key, as much of it as a phone needs. */
export class AcmeClient {
  readonly #send: Send;
  readonly key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #directory: Record<string, string> = {};
  #nonce: string | undefined;
  kid: string | undefined;

  constructor(send: Send) {
    this.#send = send;
  }

  /** Reads the directory and enters, or makes, the account. */
  async enter(directoryUrl: string): Promise<void> {
    const answer = await this.#send('GET', directoryUrl);
    if (answer.status !== 200) throw new AcmeRefused(answer.status, 'directory', 'no directory');
    this.#directory = JSON.parse(answer.body.toString()) as Record<string, string>;
    const account = await this.post(this.#directory['newAccount']!, { termsOfServiceAgreed: true });
    this.kid = String(account.headers['location']);
  }

  /** A signed message; `parts` overrides what a well-behaved client would write into the protected header. */
  async post(url: string, payload: object | undefined, parts: Record<string, unknown> = {}): Promise<Answer> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#once(url, payload, parts);
      this.#nonce = answer.headers['replay-nonce'] as string | undefined;
      if (answer.status < 300) return answer;
      const problem = JSON.parse(answer.body.toString() || '{}') as { type?: string; detail?: string };
      const type = (problem.type ?? '').split(':').at(-1) ?? '';
      if (type === 'badNonce' && attempt === 0 && !('nonce' in parts)) continue;
      throw new AcmeRefused(answer.status, type, problem.detail ?? '');
    }
  }

  async #once(url: string, payload: object | undefined, parts: Record<string, unknown>): Promise<Answer> {
    const nonce = this.#nonce ?? (await this.freshNonce());
    this.#nonce = undefined;
    const { x, y, crv, kty } = this.key.publicKey.export({ format: 'jwk' });
    const who = this.kid === undefined ? { jwk: { crv, kty, x, y } } : { kid: this.kid };
    const head = b64(JSON.stringify({ alg: 'ES256', nonce, url, ...who, ...parts }));
    const text = payload === undefined ? '' : b64(JSON.stringify(payload));
    const signature = b64(
      sign('sha256', Buffer.from(`${head}.${text}`), { key: this.key.privateKey, dsaEncoding: 'ieee-p1363' }),
    );
    return this.#send('POST', url, {
      body: Buffer.from(JSON.stringify({ protected: head, payload: text, signature })),
      headers: { 'content-type': 'application/jose+json' },
    });
  }

  async freshNonce(): Promise<string> {
    const { headers } = await this.#send('GET', this.#directory['newNonce']!);
    return String(headers['replay-nonce']);
  }

  async order(
    identifier: string,
  ): Promise<{ url: string; order: Order; challenge: Authorization['challenges'][number] }> {
    const answer = await this.post(this.#directory['newOrder']!, {
      identifiers: [{ type: 'permanent-identifier', value: identifier }],
    });
    const order = JSON.parse(answer.body.toString()) as Order;
    if (order.authorizations.length !== 1) throw new SyntaxError('a phone expects exactly one authorization');
    const authorization = await this.read<Authorization>(order.authorizations[0]!);
    const [challenge] = authorization.challenges;
    if (authorization.challenges.length !== 1 || challenge?.type !== 'device-attest-01') {
      throw new SyntaxError('a phone expects exactly one challenge, device-attest-01');
    }
    return { url: String(answer.headers['location']), order, challenge };
  }

  async read<T>(url: string): Promise<T> {
    return JSON.parse((await this.post(url, undefined)).body.toString()) as T;
  }

  /** Reads a resource until it has left the states `while`. */
  async until<T extends { status: string }>(url: string, waiting: readonly string[]): Promise<T> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const value = await this.read<T>(url);
      if (!waiting.includes(value.status)) return value;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new AcmeRefused(0, 'timeout', 'the server never decided');
  }

  /** Posts the request and fetches the one certificate, DER. */
  async finish(order: { url: string; order: Order }, csr: Buffer): Promise<Buffer> {
    await this.post(order.order.finalize, { csr: b64(csr) });
    const done = await this.until<Order>(order.url, ['processing']);
    if (done.certificate === undefined)
      throw new AcmeRefused(0, done.error?.type.split(':').at(-1) ?? done.status, done.error?.detail ?? '');
    const pem = (await this.post(done.certificate, undefined)).body.toString();
    if (pem.split('BEGIN CERTIFICATE').length !== 2) throw new SyntaxError('a phone expects exactly one certificate');
    return new X509Certificate(pem).raw;
  }
}

/** PKCS #10 for an EC key, no challenge password. */
export function ecRequest(key: KeyObject, subject: SubjectParts): Buffer {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = seq(int(0), encodeName(subject), spki, context(0));
  return seq(info, seq(oid('1.2.840.10045.4.3.3')), bits(sign('sha384', info, key)));
}

/** What goes wrong on purpose while a phone proves its identity. */
export type IdentityFault =
  | 'wrong-nonce'
  | 'wrong-root'
  | 'other-key'
  | 'other-serial'
  | 'other-udid'
  | 'nameless'
  | 'software-key'
  | 'expired-chain'
  | { readonly replay: Buffer };

export interface AcmeEnrolment {
  readonly directoryUrl: string;
  readonly clientIdentifier: string;
  readonly attest: boolean;
  readonly subject: SubjectParts;
}

/** What the phone's hardware brings: its numbers, and Apple's servers that vouch for them. */
export interface Hardware {
  /** Left out under user enrolment. */
  readonly serial?: string;
  readonly udid?: string;
  readonly osVersion: string;
  readonly attestationServer: AttestationServer;
  /** Answers to challenges that this phone's servers do not stand behind. */
  readonly stranger?: AttestationServer;
}

/** A hardware-bound P-384 key with its certificate, by ACME with device attestation. Throws AcmeRefused. */
export async function acmeEnrol(
  send: Send,
  wanted: AcmeEnrolment,
  hardware: Hardware | undefined,
  fault?: IdentityFault,
): Promise<{ key: KeyObject; certificate: Buffer; attestation: Buffer | undefined }> {
  const client = new AcmeClient(send);
  await client.enter(wanted.directoryUrl);
  const ordered = await client.order(wanted.clientIdentifier);
  const key = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  const attestation =
    wanted.attest && fault !== 'software-key' && hardware !== undefined
      ? answer(key, hardware, ordered.challenge.token, fault)
      : undefined;
  await client.post(ordered.challenge.url, attestation === undefined ? {} : { attObj: b64(attestation) });
  const judged = await client.until<
    Authorization & { status: string; challenges: { error?: { type: string; detail: string } }[] }
  >(ordered.order.authorizations[0]!, ['pending']);
  if (judged.status !== 'valid') {
    const error = judged.challenges[0]?.error;
    throw new AcmeRefused(0, error?.type.split(':').at(-1) ?? judged.status, error?.detail ?? '');
  }
  const other = fault === 'other-key' ? generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey : key;
  const certificate = await client.finish(ordered, ecRequest(other, wanted.subject));
  return { key, certificate, attestation };
}

function answer(key: KeyObject, hardware: Hardware, token: string, fault: IdentityFault | undefined): Buffer {
  if (typeof fault === 'object') return fault.replay;
  const server = fault === 'wrong-root' ? hardware.stranger! : hardware.attestationServer;
  const serial = fault === 'other-serial' ? 'OTHERSERIAL1' : hardware.serial;
  const udid = fault === 'other-udid' ? '00008110-0000000000000000' : hardware.udid;
  const claims = {
    ...(serial === undefined || fault === 'nameless' ? {} : { serial }),
    ...(udid === undefined || fault === 'nameless' ? {} : { udid }),
    osVersion: hardware.osVersion,
    token: fault === 'wrong-nonce' ? 'another token' : token,
  };
  return attestationObject(server.attest(key, claims, fault === 'expired-chain' ? -1 : 30));
}
