import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { equalBytes, sha256 } from '#base';
import { ProofError } from './errors.ts';

const ED25519 = 0x01;
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const NAME = /^[^\s+]{1,200}$/u;

/** A note verifier key: `<name>+<key id, 8 hex>+<base64(0x01 ‖ raw key)>`. C2SP signed-note. */
export interface NoteKey {
  readonly name: string;
  /** First 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ raw key). */
  readonly id: Buffer;
  readonly key: KeyObject;
}

function noteKey(name: string, raw: Uint8Array): NoteKey {
  if (!NAME.test(name)) throw new ProofError('key', 'A note key has a name without spaces and plus signs.');
  const id = sha256(name, '\n', Buffer.from([ED25519]), raw).subarray(0, 4);
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
  return { name, id, key };
}

const rawOf = (key: KeyObject) =>
  createPublicKey(
    key.type === 'private' ? key.export({ format: 'pem', type: 'pkcs8' }) : key.export({ format: 'pem', type: 'spki' }),
  )
    .export({ format: 'der', type: 'spki' })
    .subarray(SPKI_PREFIX.length);

/** The verifier key text of an Ed25519 key (public or private). */
export function verifierKey(name: string, key: KeyObject): string {
  if (key.asymmetricKeyType !== 'ed25519') throw new ProofError('key', 'Notes are signed with Ed25519 keys.');
  const raw = rawOf(key);
  const { id } = noteKey(name, raw);
  return `${name}+${id.toString('hex')}+${Buffer.concat([Buffer.from([ED25519]), raw]).toString('base64')}`;
}

/** Reads a verifier key text. Throws ProofError `key` if it is malformed or its id does not match. */
export function parseVerifierKey(text: string): NoteKey {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text);
  const bytes = Buffer.from(match?.[3] ?? '', 'base64');
  if (match === null || bytes.length !== 33 || bytes[0] !== ED25519) {
    throw new ProofError('key', 'This is not an Ed25519 note verifier key.');
  }
  const key = noteKey(match[1]!, bytes.subarray(1));
  if (key.id.toString('hex') !== match[2]) throw new ProofError('key', 'The note verifier key has a wrong key id.');
  return key;
}

/** Signs `text` (ends in a line feed) as a C2SP signed note with one Ed25519 signature. */
export function signNote(text: string, name: string, privateKey: KeyObject): string {
  if (!text.endsWith('\n') || text.includes('\n\n')) throw new ProofError('note', 'A note is lines of text.');
  const { id } = noteKey(name, rawOf(privateKey));
  const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]).toString('base64');
  return `${text}\n\u2014 ${name} ${signature}\n`;
}

/**
 * Checks a signed note and returns its text. Exactly one signature line may bear the key's name and id and it must be
 * valid; lines of other keys are ignored, as the standard says. Throws ProofError `note`.
 */
export function openNote(note: string, key: NoteKey): string {
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0 || !note.endsWith('\n')) throw new ProofError('note', 'This is not a signed note.');
  const text = note.slice(0, cut + 1);
  const lines = note.slice(cut + 2, -1).split('\n');
  let verified = false;
  for (const line of lines) {
    const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line);
    const bytes = Buffer.from(match?.[2] ?? '', 'base64');
    if (match === null || bytes.length < 5 || bytes.toString('base64') !== match[2]) {
      throw new ProofError('note', 'A signature line of the note is malformed.');
    }
    if (match[1] !== key.name || !equalBytes(bytes.subarray(0, 4), key.id)) continue;
    if (verified || !verify(null, Buffer.from(text), key.key, bytes.subarray(4))) {
      throw new ProofError('note', 'The note is not signed by the expected key.');
    }
    verified = true;
  }
  if (!verified) throw new ProofError('note', 'The note is not signed by the expected key.');
  return text;
}
