import { createPublicKey, type KeyObject } from 'node:crypto';
import { fromBase64url, type Sealed, sha256, toBase64url } from '#base';
import { SealError } from './errors.ts';
import { outerBytes, type RowLabel, sealField } from './field.ts';
import { type Field, type PublicKeys, WRITERS, type Writer } from './messages.ts';
import { checkBody, signBody } from './signed.ts';

/** What a writing process signs with: its name and its Ed25519 private key. */
export interface Pen {
  readonly writer: Writer;
  readonly key: KeyObject;
}

/** A value in transit as the ledger is handed it: who wrote it, and that writer's signature over it and its labels. */
export interface Written {
  /** base64url, `outerBytes` of the field: HPKE to the ledger. */
  readonly outer: string;
  readonly writer: Writer;
  /** base64url, 64 bytes. */
  readonly signature: string;
}

const SIGNATURE_BYTES = 64;
/** As it waits in the database: outer layer, signature, one byte for the writer. */
export const writtenBytes = (field: Field): number => outerBytes(field) + SIGNATURE_BYTES + 1;

const statement = ({ org, subject, field, version }: RowLabel, writer: Writer, outer: Uint8Array) => ({
  ...{ v: 1, op: 'write', org, subject, field, version, writer },
  outer: toBase64url(sha256(outer)),
});

/**
 * Signs a value that is sealed already, by this process or by a browser: for exactly this subject, field and version.
 * Returns `writtenBytes` of the field, which is what the database keeps until the ledger has settled it.
 */
export function signWrite(pen: Pen, label: RowLabel, outer: Uint8Array): Buffer {
  if (outer.byteLength !== outerBytes(label.field)) {
    throw new SealError('shape', 'A value in transit has the size of its field.');
  }
  const signature = fromBase64url(signBody(pen.key, statement(label, pen.writer, outer)));
  return Buffer.concat([outer, signature, Buffer.from([WRITERS.indexOf(pen.writer) + 1])]);
}

/** Seals a value and signs it as its writer. Throws SealError `value-too-long`. */
export function sealWrite(options: {
  readonly keys: Pick<PublicKeys, 'org' | 'inner' | 'outer' | 'third'>;
  readonly pen: Pen;
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly value: Sealed<string>;
}): Buffer {
  const { keys, pen, subject, field, version } = options;
  return signWrite(pen, { org: keys.org, subject, field, version }, sealField(options));
}

/** Takes apart what `signWrite` made; undefined if it has another size or names no writer. */
export function readWritten(field: Field, bytes: Uint8Array): Written | undefined {
  if (bytes.byteLength !== writtenBytes(field)) return undefined;
  const writer = WRITERS[bytes[bytes.byteLength - 1]! - 1];
  if (writer === undefined) return undefined;
  const end = outerBytes(field);
  const signature = toBase64url(bytes.subarray(end, end + SIGNATURE_BYTES));
  return { outer: toBase64url(bytes.subarray(0, end)), writer, signature };
}

/** True if the writer whose Ed25519 SPKI (base64url DER) is given signed exactly this value under these labels. Never throws. */
export function verifyWritten(spki: string, label: RowLabel, written: Written): boolean {
  try {
    const said = statement(label, written.writer, fromBase64url(written.outer));
    return checkBody(spki, said, written.signature);
  } catch {
    return false;
  }
}

/** The public half of a pen as `PublicKeys.writers` has it. */
export const penPublic = (pen: Pen): string =>
  toBase64url(createPublicKey(pen.key).export({ format: 'der', type: 'spki' }));
