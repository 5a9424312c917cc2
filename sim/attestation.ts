import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { bits, context, int, octets, oid, seq, setOf, tlv, utcTime, utf8 } from './der.ts';

const APPLE = '1.2.840.113635.100.8.';
const ECDSA_SHA384 = () => seq(oid('1.2.840.10045.4.3.3'));
const DAY = 86_400_000;

type Encodable = string | Uint8Array | readonly Encodable[] | { readonly [key: string]: Encodable };

/** CBOR (RFC 8949) of texts, bytes, arrays and maps: all that an attestation object holds. */
export function encodeCbor(value: Encodable): Buffer {
  const head = (major: number, count: number) =>
    count < 24
      ? Buffer.of((major << 5) | count)
      : count < 0x100
        ? Buffer.of((major << 5) | 24, count)
        : Buffer.of((major << 5) | 25, count >> 8, count & 0xff);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value))
    return Buffer.concat([head(4, value.length), ...value.map((one: Encodable) => encodeCbor(one))]);
  const entries = Object.entries(value as { readonly [key: string]: Encodable });
  return Buffer.concat([
    head(5, entries.length),
    ...entries.flatMap(([key, one]) => [encodeCbor(key), encodeCbor(one)]),
  ]);
}

/** What a device's attestation says. */
export interface AttestationClaims {
  /** Left out under user enrolment. */
  readonly serial?: string;
  readonly udid?: string;
  readonly osVersion: string;
  /** The challenge's token; its SHA-256 is the freshness code. */
  readonly token?: string;
  /** The nonce of a query, which is the freshness code itself. */
  readonly freshness?: Buffer;
}

/** Plays Apple's attestation servers: a P-384 root and an intermediate of its own, in the form of the true ones. */
export class AttestationServer {
  readonly #root = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  readonly #middle = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  readonly root: Buffer;
  readonly intermediate: Buffer;

  constructor(options: { readonly intermediateDays?: number } = {}) {
    const name = commonName('Simulated Enterprise Attestation Root CA');
    const middle = commonName('Simulated Enterprise Attestation Sub CA 1');
    const ca = () => [
      extension('2.5.29.19', true, seq(tlv(0x01, Buffer.of(0xff)))),
      extension('2.5.29.15', true, tlv(0x03, Buffer.of(1, 0x06))),
    ];
    this.root = build({
      subject: name,
      issuer: name,
      spki: spkiOf(this.#root.publicKey),
      signer: this.#root.privateKey,
      days: 3650,
      extensions: ca(),
    });
    const days = options.intermediateDays ?? 365;
    this.intermediate = build({
      subject: middle,
      issuer: name,
      spki: spkiOf(this.#middle.publicKey),
      signer: this.#root.privateKey,
      days,
      extensions: ca(),
    });
  }

  /** The root as PEM, as an administrator gives it to the product. */
  get rootPem(): string {
    const lines = this.root.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }

  /** The certificate chain for a key that the device keeps in its hardware, leaf first; Apple's extensions are plain bytes. */
  attest(key: KeyObject, claims: AttestationClaims, days = 30): Buffer[] {
    const apple = (arc: string, value: Uint8Array | string) => extension(APPLE + arc, false, Buffer.from(value));
    const leaf = build({
      subject: commonName(createHash('sha256').update(spkiOf(key)).digest('hex')),
      issuer: commonName('Simulated Enterprise Attestation Sub CA 1'),
      spki: spkiOf(key),
      signer: this.#middle.privateKey,
      days,
      extensions: [
        extension('2.5.29.19', true, seq()),
        extension('2.5.29.15', true, tlv(0x03, Buffer.of(7, 0x80))),
        ...(claims.serial === undefined ? [] : [apple('9.1', claims.serial)]),
        ...(claims.udid === undefined ? [] : [apple('9.2', claims.udid)]),
        apple('10.1', claims.osVersion),
        apple('10.2', claims.osVersion),
        apple('10.3', '10151.40.42'),
        apple(
          '11.1',
          claims.freshness ??
            createHash('sha256')
              .update(claims.token ?? '')
              .digest(),
        ),
      ],
    });
    return [leaf, this.intermediate];
  }
}

/** The object that answers a `device-attest-01` challenge. */
export const attestationObject = (chain: readonly Buffer[]): Buffer =>
  encodeCbor({ fmt: 'apple', attStmt: { x5c: chain } });

const spkiOf = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
const commonName = (text: string) => seq(setOf(seq(oid('2.5.4.3'), utf8(text))));
const extension = (id: string, critical: boolean, value: Uint8Array) =>
  seq(oid(id), ...(critical ? [tlv(0x01, Buffer.of(0xff))] : []), octets(value));

function build(part: {
  subject: Buffer;
  issuer: Buffer;
  spki: Buffer;
  signer: KeyObject;
  /** From now; less than nothing makes a certificate that has ended. */
  days: number;
  extensions: readonly Buffer[];
}): Buffer {
  const now = Date.now();
  const from = new Date(Math.min(now, now + part.days * DAY) - 3_600_000);
  const serial = int(Buffer.concat([Buffer.of(1), randomBytes(15)]));
  const validity = seq(utcTime(from), utcTime(new Date(now + part.days * DAY)));
  const tbs = seq(
    ...[context(0, int(2)), serial, ECDSA_SHA384(), part.issuer, validity, part.subject, part.spki],
    context(3, seq(...part.extensions)),
  );
  return seq(tbs, ECDSA_SHA384(), bits(sign('sha384', tbs, part.signer)));
}
