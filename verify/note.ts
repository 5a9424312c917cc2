import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { Finding } from './finding.ts';

/** Kinds of note keys. C2SP signed-note and tlog-cosignature: the byte before the key. */
export const ED25519 = 0x01;
export const COSIGNATURE_ED25519 = 0x04;
export const COSIGNATURE_ML_DSA_44 = 0x06;

/** SubjectPublicKeyInfo up to the key: RFC 8410 for Ed25519, RFC 9881 for ML-DSA-44. */
const SPKI: Readonly<Record<number, { readonly head: string; readonly bytes: number }>> = {
  [ED25519]: { head: '302a300506032b6570032100', bytes: 32 },
  [COSIGNATURE_ED25519]: { head: '302a300506032b6570032100', bytes: 32 },
  [COSIGNATURE_ML_DSA_44]: { head: '30820532300b06096086480165030403110382052100', bytes: 1312 },
};

/** A verifier key: `<name>+<key id, 8 hex>+<base64(kind ‖ raw key)>`. */
export interface VerifierKey {
  readonly name: string;
  readonly id: string;
  readonly kind: number;
  readonly raw: Buffer;
  /** Undefined where this Node cannot check signatures of the kind. */
  readonly key: KeyObject | undefined;
}

/** Reads a verifier key. Throws Finding `key`. */
export function readKey(text: string): VerifierKey {
  const [, name = '', id = '', encoded = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  const kind = bytes[0] ?? 0;
  const form = SPKI[kind];
  if (form === undefined || bytes.length !== form.bytes + 1 || bytes.toString('base64') !== encoded)
    throw new Finding('key', 'This is no verifier key: expected <name>+<key id>+<base64>, Ed25519 or ML-DSA-44.');
  const made = createHash('sha256').update(`${name}\n`).update(bytes).digest('hex').slice(0, 8);
  if (made !== id) throw new Finding('key', 'The verifier key has a wrong key id: it was changed or cut.');
  const der = Buffer.concat([Buffer.from(form.head, 'hex'), bytes.subarray(1)]);
  let key: KeyObject | undefined;
  try {
    key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    // Node before 24.6 knows no ML-DSA; such signatures then count as absent.
  }
  return { name, id, kind, raw: bytes.subarray(1), key };
}

/** A signed note in its parts. */
export interface Note {
  /** With its final line feed. */
  readonly text: string;
  readonly signatures: readonly { readonly name: string; readonly id: string; readonly signature: Buffer }[];
}

/** Takes a note apart. Throws Finding `note`. C2SP signed-note, format. */
export function readNote(bytes: Uint8Array): Note {
  let whole: string;
  try {
    whole = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Finding('note', 'It is not text.');
  }
  const cut = whole.lastIndexOf('\n\n');
  if (cut < 0 || !whole.endsWith('\n')) throw new Finding('note', 'It is not a signed note.');
  const lines = whole.slice(cut + 2, -1).split('\n');
  if (lines.length > 64) throw new Finding('note', 'It has more than 64 signatures.');
  const signatures = lines.map((line) => {
    const [, name = '', encoded = ''] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    const blob = Buffer.from(encoded, 'base64');
    if (blob.length < 5 || blob.toString('base64') !== encoded)
      throw new Finding('note', 'A signature line is malformed.');
    return { name, id: blob.toString('hex', 0, 4), signature: blob.subarray(4) };
  });
  return { text: whole.slice(0, cut + 1), signatures };
}

/** A valid signature by a key; `time` in seconds since 1970 for cosignatures. */
export interface Signed {
  readonly time?: number;
}

/**
 * Whether a key signed a note. Undefined if it did not; throws Finding `note` if a line claims to be the key's and is not,
 * or if two do: such a note is never taken. C2SP signed-note and tlog-cosignature.
 */
export function signedBy(note: Note, key: VerifierKey): Signed | undefined {
  const lines = note.signatures.filter(({ name, id }) => name === key.name && id === key.id);
  if (lines.length === 0 || key.key === undefined) return undefined;
  if (lines.length > 1) throw new Finding('note', `It has two signatures of ${key.name} by one key.`);
  const signed = check(note.text, key, key.key, lines[0]!.signature);
  if (signed === undefined) throw new Finding('note', `The signature of ${key.name} is wrong.`);
  return signed;
}

function check(text: string, key: VerifierKey, object: KeyObject, signature: Buffer): Signed | undefined {
  if (key.kind === ED25519) return verify(null, Buffer.from(text), object, signature) ? {} : undefined;
  if (signature.length < 9) return undefined;
  const time = signature.readBigUInt64BE(0);
  if (time >= 1n << 63n) return undefined;
  const message = key.kind === COSIGNATURE_ED25519 ? cosigned(text, time) : subtree(text, key.name, time);
  if (message === undefined || !verify(null, message, object, signature.subarray(8))) return undefined;
  return { time: Number(time) };
}

const cosigned = (text: string, time: bigint) => Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);

/** C2SP tlog-cosignature, ML-DSA-44 signed message: of a whole tree, start is 0. */
function subtree(text: string, cosigner: string, time: bigint): Buffer | undefined {
  const { origin, size, root } = readCheckpoint(text);
  const [name, log] = [Buffer.from(cosigner), Buffer.from(origin)];
  if (name.length > 255 || log.length > 255) return undefined;
  const number = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };
  return Buffer.concat([
    ...[Buffer.from('subtree/v1\n\0'), Buffer.of(name.length), name, number(time)],
    ...[Buffer.of(log.length), log, number(0n), number(BigInt(size)), root],
  ]);
}

/** What a checkpoint says. C2SP tlog-checkpoint, without extension lines. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** Reads a checkpoint's text. Throws Finding `checkpoint`. */
export function readCheckpoint(text: string): Checkpoint {
  const [, origin = '', digits = '', encoded = ''] =
    /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/u.exec(text) ?? [];
  const root = Buffer.from(encoded, 'base64');
  const size = Number(digits);
  if (root.length !== 32 || root.toString('base64') !== encoded || !Number.isSafeInteger(size))
    throw new Finding('checkpoint', 'It is not a checkpoint: origin, size and root hash, each on a line.');
  return { origin, size, root };
}
