import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { equalBytes, sha256 } from '#base';
import { parseForeignCheckpoint } from './checkpoint.ts';
import { ProofError } from './errors.ts';

/** Kinds of cosigner keys: the byte before the key. C2SP tlog-cosignature. */
const KINDS = {
  ed25519: { byte: 0x04, bytes: 32, signature: 64, spki: '302a300506032b6570032100' },
  'ml-dsa-44': { byte: 0x06, bytes: 1312, signature: 2420, spki: '30820532300b06096086480165030403110382052100' },
} as const;
type Kind = keyof typeof KINDS;

/** A cosigner's verifier key, `<name>+<key id>+<base64(kind ‖ raw key)>`, read. */
export interface CosignerKey {
  readonly name: string;
  /** First 4 bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ raw key). */
  readonly id: Buffer;
  readonly kind: Kind;
  readonly key: KeyObject;
}

/** A valid cosignature: whose, when (milliseconds since 1970), and its line with the line feed. */
export interface Cosignature {
  readonly key: CosignerKey;
  readonly time: number;
  readonly line: string;
}

const NAME = /^[^\s+]{1,200}$/u;

function kindOf(key: KeyObject): Kind {
  const type = key.asymmetricKeyType;
  if (type === 'ed25519' || type === 'ml-dsa-44') return type;
  throw new ProofError('key', 'Witnesses sign with Ed25519 or ML-DSA-44 keys.');
}

function rawOf(key: KeyObject): Buffer {
  const { spki } = KINDS[kindOf(key)];
  const open = key.type === 'private' ? createPublicKey(key.export({ format: 'pem', type: 'pkcs8' })) : key;
  return open.export({ format: 'der', type: 'spki' }).subarray(spki.length / 2);
}

function idOf(name: string, kind: Kind, raw: Uint8Array): Buffer {
  if (!NAME.test(name)) throw new ProofError('key', 'A note key has a name without spaces and plus signs.');
  return sha256(name, '\n', Buffer.of(KINDS[kind].byte), raw).subarray(0, 4);
}

/** The verifier key text of a cosigner. Throws ProofError `key`. */
export function cosignerKey(name: string, key: KeyObject): string {
  const kind = kindOf(key);
  const raw = rawOf(key);
  const encoded = Buffer.concat([Buffer.of(KINDS[kind].byte), raw]).toString('base64');
  return `${name}+${idOf(name, kind, raw).toString('hex')}+${encoded}`;
}

/** Reads a cosigner's verifier key text. Throws ProofError `key`. */
export function parseCosignerKey(text: string): CosignerKey {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text);
  const bytes = Buffer.from(match?.[3] ?? '', 'base64');
  const found = Object.entries(KINDS).find(([, one]) => one.byte === bytes[0] && one.bytes === bytes.length - 1);
  if (match === null || found === undefined) {
    throw new ProofError(
      'key',
      'This is no witness key: expected <name>+<key id>+<base64>, Ed25519 (4) or ML-DSA-44 (6).',
    );
  }
  const [kind, { spki }] = found as [Kind, (typeof KINDS)[Kind]];
  const raw = bytes.subarray(1);
  const id = idOf(match[1]!, kind, raw);
  if (id.toString('hex') !== match[2]) throw new ProofError('key', 'The witness key has a wrong key id.');
  const key = createPublicKey({ key: Buffer.concat([Buffer.from(spki, 'hex'), raw]), format: 'der', type: 'spki' });
  return { name: match[1]!, id, kind, key };
}

const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
const short = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  if (bytes.length < 1 || bytes.length > 255) throw new ProofError('key', 'A name has 1 to 255 bytes.');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
};

/** What is signed at a time in seconds. C2SP tlog-cosignature, Ed25519 and ML-DSA-44 signed message. */
function message(kind: Kind, name: string, text: string, seconds: number): Buffer {
  const { origin, size, root } = parseForeignCheckpoint(text);
  if (kind === 'ed25519') return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
  const label = Buffer.from('subtree/v1\n\0');
  return Buffer.concat([label, short(name), u64(seconds), short(origin), u64(0), u64(size), root]);
}

/** Cosigns a checkpoint's text; returns the signature line with its line feed. `now` in milliseconds. */
export function cosign(text: string, name: string, privateKey: KeyObject, now: number): string {
  const kind = kindOf(privateKey);
  const seconds = Math.floor(now / 1000);
  const signature = sign(null, message(kind, name, text, seconds), privateKey);
  const id = idOf(name, kind, rawOf(privateKey));
  return `\u2014 ${name} ${Buffer.concat([id, u64(seconds), signature]).toString('base64')}\n`;
}

/**
 * The cosignatures among signature lines that are of the keys; lines of others are passed over, as the standard says. Throws
 * ProofError `note` if a line bears a key's name and id and is not valid.
 */
export function cosignaturesIn(text: string, lines: string, keys: readonly CosignerKey[]): Cosignature[] {
  const found: Cosignature[] = [];
  for (const line of lines.split('\n').filter((one) => one !== '')) {
    const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line);
    const bytes = Buffer.from(match?.[2] ?? '', 'base64');
    const key = keys.find((one) => one.name === match?.[1] && equalBytes(bytes.subarray(0, 4), one.id));
    if (key === undefined) continue;
    const wrong = new ProofError('note', `The cosignature of ${key.name} is wrong.`);
    if (bytes.length !== 12 + KINDS[key.kind].signature || bytes.toString('base64') !== match?.[2]) throw wrong;
    const seconds = bytes.readBigUInt64BE(4);
    if (seconds > BigInt(Number.MAX_SAFE_INTEGER)) throw wrong;
    const signed = message(key.kind, key.name, text, Number(seconds));
    if (!verify(null, signed, key.key, bytes.subarray(12))) throw wrong;
    if (!found.some((one) => one.key === key)) found.push({ key, time: Number(seconds) * 1000, line: `${line}\n` });
  }
  return found;
}
