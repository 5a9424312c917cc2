import { fromBase64url } from '#base';
import { AcmeRefusal } from './problem.ts';

type Payload = Readonly<Record<string, unknown>> | undefined;

/** Where an order stands; its one authorization and its one challenge follow from it. */
export type OrderState = 'pending' | 'judging' | 'ready' | 'finalizing' | 'valid' | 'invalid';

/** An order as the client sees it, with its one identifier, authorization and challenge. */
export interface AcmeOrder {
  readonly id: string;
  readonly state: OrderState;
  readonly identifier: string;
  readonly token: string;
  readonly expiresAt: Date;
  /** Why it is invalid. */
  readonly error: { readonly type: string; readonly detail: string } | null;
}

/** URLs of a directory at `base`, such as `https://mdm.example/acme` (RFC 8555 section 7.1). */
export const acmeUrls = (base: string) => ({
  directory: `${base}/directory`,
  nonce: `${base}/new-nonce`,
  account: (id: string) => `${base}/account/${id}`,
  orders: (id: string) => `${base}/account/${id}/orders`,
  order: (id: string) => `${base}/order/${id}`,
  authorization: (id: string) => `${base}/authz/${id}`,
  challenge: (id: string) => `${base}/challenge/${id}`,
  finalize: (id: string) => `${base}/order/${id}/finalize`,
  certificate: (id: string) => `${base}/certificate/${id}`,
  keyChange: `${base}/key-change`,
  revokeCertificate: `${base}/revoke-cert`,
});

export type AcmeUrls = ReturnType<typeof acmeUrls>;

/**
 * RFC 8555 section 7.1.1. No terms of service and no external account, because an order's identifier is the secret.
 */
export const directory = (base: string) => ({
  newNonce: `${base}/new-nonce`,
  newAccount: `${base}/new-account`,
  newOrder: `${base}/new-order`,
  revokeCert: `${base}/revoke-cert`,
  keyChange: `${base}/key-change`,
  meta: { externalAccountRequired: false },
});

const permanent = (value: string) => ({ type: 'permanent-identifier', value });
const problem = ({ error }: AcmeOrder) =>
  error === null ? {} : { error: { type: `urn:ietf:params:acme:error:${error.type}`, detail: error.detail } };

/** RFC 8555 section 7.1.3. */
export function orderObject(order: AcmeOrder, urls: AcmeUrls): Record<string, unknown> {
  const status = { judging: 'pending', finalizing: 'processing' }[order.state as string] ?? order.state;
  return {
    status,
    expires: order.expiresAt.toISOString(),
    identifiers: [permanent(order.identifier)],
    authorizations: [urls.authorization(order.id)],
    finalize: urls.finalize(order.id),
    ...problem(order),
    ...(order.state === 'valid' ? { certificate: urls.certificate(order.id) } : {}),
  };
}

/** RFC 8555 section 7.1.4. */
export function authorizationObject(order: AcmeOrder, urls: AcmeUrls): Record<string, unknown> {
  const status = { pending: 'pending', judging: 'pending', invalid: 'invalid' }[order.state as string] ?? 'valid';
  return {
    identifier: permanent(order.identifier),
    status,
    expires: order.expiresAt.toISOString(),
    challenges: [challengeObject(order, urls)],
  };
}

/** RFC 8555 section 7.1.5, `device-attest-01`. */
export function challengeObject(order: AcmeOrder, urls: AcmeUrls): Record<string, unknown> {
  const status = { pending: 'pending', judging: 'processing', invalid: 'invalid' }[order.state as string] ?? 'valid';
  return { type: 'device-attest-01', url: urls.challenge(order.id), status, token: order.token, ...problem(order) };
}

/** The identifier of a new order: exactly one, `permanent-identifier`. Throws AcmeRefusal. */
export function readNewOrder(payload: Payload): string {
  const identifiers: unknown = payload?.['identifiers'];
  if (!Array.isArray(identifiers) || identifiers.length === 0) {
    throw new AcmeRefusal('malformed', 'An order names its identifier.');
  }
  if (identifiers.length > 1) throw new AcmeRefusal('rejectedIdentifier', 'An order names exactly one identifier.');
  const [first] = identifiers as unknown[];
  const { type, value } = (typeof first === 'object' && first !== null ? first : {}) as Record<string, unknown>;
  if (type !== 'permanent-identifier') {
    throw new AcmeRefusal('unsupportedIdentifier', 'Only identifiers of type permanent-identifier are certified here.');
  }
  if (typeof value !== 'string' || value.length < 1 || value.length > 256) {
    throw new AcmeRefusal('malformed', 'The identifier has no value.');
  }
  if (payload?.['notBefore'] !== undefined || payload?.['notAfter'] !== undefined) {
    throw new AcmeRefusal('malformed', 'The validity of a certificate is not the client’s to choose.');
  }
  return value;
}

/** The answer to the challenge: an attestation object, or undefined for an answer without one. Throws AcmeRefusal. */
export function readChallengeAnswer(payload: Payload): Uint8Array | undefined {
  if (payload === undefined) throw new AcmeRefusal('malformed', 'A challenge is answered with an object.');
  if (payload['error'] !== undefined) {
    throw new AcmeRefusal('badAttestationStatement', 'The device could not attest its key.');
  }
  if (payload['attObj'] === undefined) return undefined;
  return base64url(payload['attObj'], 'attestation object', 48 * 1024);
}

/** The certificate request of a finalize message, DER. Throws AcmeRefusal. */
export function readFinalize(payload: Payload): Uint8Array {
  return base64url(payload?.['csr'], 'certificate request', 16 * 1024);
}

/** Reason codes of RFC 5280, section 5.3.1, that a client may give; what it leaves open means that it stops. */
const REASONS: ReadonlyMap<unknown, 'keyCompromise' | 'superseded' | 'cessationOfOperation'> = new Map([
  [undefined, 'cessationOfOperation'],
  [0, 'cessationOfOperation'],
  [1, 'keyCompromise'],
  [4, 'superseded'],
  [5, 'cessationOfOperation'],
]);

/** The certificate of a `revokeCert` message, DER, and why. Throws AcmeRefusal. */
export function readRevocation(payload: Payload): { der: Uint8Array; reason: string } {
  const der = base64url(payload?.['certificate'], 'certificate', 16 * 1024);
  const reason = REASONS.get(payload?.['reason']);
  if (reason === undefined)
    throw new AcmeRefusal('badRevocationReason', 'Only the reasons 0, 1, 4 and 5 are taken from a client.');
  return { der, reason };
}

function base64url(value: unknown, what: string, most: number): Uint8Array {
  if (typeof value === 'string' && value.length > 0 && value.length <= Math.ceil((most * 4) / 3)) {
    try {
      return fromBase64url(value);
    } catch {}
  }
  throw new AcmeRefusal('malformed', `The ${what} is missing, too long or not base64url.`);
}
