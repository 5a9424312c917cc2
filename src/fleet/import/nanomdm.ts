import { Sealed } from '#base';
import {
  type Authenticate,
  type Certificate,
  fromPem,
  type PersonalField,
  parseCertificate,
  parseCheckIn,
  type TokenUpdate,
  verifyIssuedBy,
  WireError,
} from '#wire';

/** One enrolment as NanoMDM keeps it: a row of `devices` with its `enrollments` and `cert_auth_associations` row. */
export interface NanoRow {
  readonly id: string;
  /** NanoMDM's word: `Device`, `User Enrollment (Device)`; users' channels have others. */
  readonly type: string;
  readonly enabled: boolean;
  readonly identity_cert: string | null;
  /** Of the certificate that is pinned to this id, hexadecimal. */
  readonly sha256: string | null;
  readonly authenticate: string;
  readonly token_update: string | null;
  /** Base64. */
  readonly unlock_token: string | null;
  readonly bootstrap_token_b64: string | null;
}

/** A device as it will be ours. */
export interface Incoming {
  readonly authenticate: Authenticate;
  readonly tokenUpdate: TokenUpdate;
  readonly ownership: 'organisation' | 'personal';
  readonly pin: Buffer;
  /** Milliseconds; undefined if the certificate itself was not kept. */
  readonly notAfter: number | undefined;
  readonly personal: ReadonlyMap<PersonalField, Sealed<string>>;
  readonly findings: readonly string[];
}

/** Why a row was left out; the device then goes on with its old server. */
export type LeftOut =
  | 'not-enabled'
  | 'a-user-channel'
  | 'no-token-update'
  | 'no-certificate'
  | 'certificate-differs'
  | 'certificate-expired'
  | 'issuer-unknown'
  | 'not-readable'
  | 'two-devices-in-one'
  | 'known-already';

const TOKENS = 6142;

/**
 * Reads a row with the same parser that reads phones; the certificate must come from one of `issuers` and be the one that
 * is pinned. Returns why not, where it cannot be taken over. No name leaves this function but sealed.
 */
export function readNanoRow(row: NanoRow, issuers: readonly Certificate[], now: number): Incoming | LeftOut {
  if (!/^(Device|User Enrollment \(Device\))$/.test(row.type)) return 'a-user-channel';
  if (!row.enabled) return 'not-enabled';
  if (row.token_update === null) return 'no-token-update';
  const pinned = row.sha256 === null ? undefined : Buffer.from(row.sha256, 'hex');
  let authenticate: ReturnType<typeof parseCheckIn>;
  let tokenUpdate: ReturnType<typeof parseCheckIn>;
  let certificate: Certificate | undefined;
  try {
    authenticate = parseCheckIn(Buffer.from(row.authenticate));
    tokenUpdate = parseCheckIn(Buffer.from(row.token_update));
    certificate = row.identity_cert === null ? undefined : parseCertificate(fromPem(row.identity_cert));
  } catch (error) {
    if (error instanceof WireError) return 'not-readable';
    throw error;
  }
  if (authenticate.type !== 'Authenticate' || tokenUpdate.type !== 'TokenUpdate') return 'not-readable';
  if (authenticate.udid !== tokenUpdate.udid) return 'two-devices-in-one';
  const pin = pinned ?? certificate?.sha256;
  if (pin?.length !== 32) return 'no-certificate';
  const same = certificate !== undefined && Buffer.compare(certificate.sha256, pin) === 0;
  // NanoMDM keeps the certificate of the last Authenticate; after a renewal the pin is younger than it.
  if (certificate !== undefined && same) {
    if (now > certificate.notAfter) return 'certificate-expired';
    if (!issuers.some((issuer) => verifyIssuedBy(certificate, issuer, now))) return 'issuer-unknown';
  }
  const findings = [
    ...authenticate.findings,
    ...tokenUpdate.findings,
    ...(same ? [] : ['imported-pin-without-certificate']),
  ];
  const personal = new Map([...authenticate.personal, ...tokenUpdate.personal]);
  const keep = (field: PersonalField, base64: string | null) => {
    if (base64 === null || personal.has(field)) return;
    if (base64.length <= TOKENS) personal.set(field, new Sealed(base64));
    else findings.push('value-too-long');
  };
  keep('unlock-token', row.unlock_token);
  keep('bootstrap-token', row.bootstrap_token_b64);
  const ownership = authenticate.kind === 'enrollment-id' ? 'personal' : 'organisation';
  return {
    authenticate,
    tokenUpdate,
    ownership,
    pin,
    notAfter: same ? certificate?.notAfter : undefined,
    personal,
    findings,
  };
}
