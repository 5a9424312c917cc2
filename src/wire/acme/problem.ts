import { WireError } from '../error.ts';

/** Error types of RFC 8555 section 6.7, and badAttestationStatement of the device attestation draft. */
const STATUS = {
  accountDoesNotExist: 400,
  alreadyRevoked: 400,
  badAttestationStatement: 400,
  badCSR: 400,
  badNonce: 400,
  badPublicKey: 400,
  badRevocationReason: 400,
  badSignatureAlgorithm: 400,
  malformed: 400,
  orderNotReady: 403,
  rateLimited: 429,
  rejectedIdentifier: 400,
  // 403 and never 401: a phone that reads 401 leaves management.
  unauthorized: 403,
  unsupportedIdentifier: 400,
  serverInternal: 500,
} as const;

export type AcmeErrorType = keyof typeof STATUS;

/** A refusal that the client is told about. `status` overrides the type's usual HTTP status. */
export class AcmeRefusal extends WireError {
  readonly type: AcmeErrorType;
  /** Further members of the problem document. */
  readonly more: Readonly<Record<string, unknown>>;

  constructor(
    type: AcmeErrorType,
    detail: string,
    options: { status?: number; more?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super('acme', detail, { status: options.status ?? STATUS[type], cause: options.cause });
    this.type = type;
    this.more = options.more ?? {};
  }
}

/** The problem document (RFC 8555 section 6.7, RFC 9457). */
export function acmeProblem({ type, message, status, more }: AcmeRefusal): Record<string, unknown> {
  return { type: `urn:ietf:params:acme:error:${type}`, detail: message, status, ...more };
}
