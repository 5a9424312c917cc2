import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import { equalBytes } from '#base';
import { decodeBech32, encodeBech32 } from './bech32.ts';
import { SealError } from './errors.ts';
import { x25519Private, x25519Public, x25519Raw } from './kem.ts';

// age, version 1 (C2SP age.md): X25519 recipients, header MAC, STREAM with ChaCha20-Poly1305. Nothing else of it.
const INTRO = 'age-encryption.org/v1';
const CHUNK = 64 * 1024;
const TAG = 16;
/** Longest header that is read, bytes. */
const HEADER = 64 * 1024;
const ZERO_NONCE = Buffer.alloc(12);

const refused = (why: string) => new SealError('age', `This file cannot be opened: ${why}.`);
const derive = (key: Uint8Array, salt: Uint8Array, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, info, 32));
const plainBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/** Canonical base64 without padding of exactly `bytes` bytes, or undefined. */
function fromPlain(text: string, bytes: number): Buffer | undefined {
  const read = Buffer.from(text, 'base64');
  return read.length === bytes && plainBase64(read) === text ? read : undefined;
}

/** `age1…` of a raw X25519 public key. */
export const ageRecipient = (raw: Uint8Array): string => encodeBech32('age', raw);
/** The raw X25519 public key of `age1…`. Throws SealError `key`. */
export const readAgeRecipient = (text: string): Buffer => decodeBech32('age', text);
/** `AGE-SECRET-KEY-1…` of a raw X25519 private key. */
export const ageIdentity = (raw: Uint8Array): string => encodeBech32('age-secret-key-', raw).toUpperCase();
/** The raw X25519 private key of `AGE-SECRET-KEY-1…`. Throws SealError `key`. */
export const readAgeIdentity = (text: string): Buffer => decodeBech32('age-secret-key-', text);

function seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  try {
    const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG });
    decipher.setAuthTag(sealed.subarray(-TAG));
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function chunkNonce(counter: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

function stanza(fileKey: Uint8Array, recipient: Uint8Array): string {
  const { privateKey } = generateKeyPairSync('x25519');
  const share = x25519Raw(privateKey);
  const shared = diffieHellman({ privateKey, publicKey: x25519Public(recipient) });
  const key = derive(shared, Buffer.concat([share, recipient]), `${INTRO}/X25519`);
  const line = `-> X25519 ${plainBase64(share)}\n${plainBase64(seal(key, ZERO_NONCE, fileKey))}\n`;
  for (const used of [shared, key]) used.fill(0);
  return line;
}

const headerMac = (fileKey: Uint8Array, text: string): Buffer =>
  createHmac('sha256', derive(fileKey, Buffer.alloc(0), 'header'))
    .update(text)
    .digest();

/** Encrypts a stream to raw X25519 public keys. `head` first, then what `push` and `end` return. */
export class AgeWriter {
  readonly head: Buffer;
  readonly #key: Buffer;
  #held: Buffer = Buffer.alloc(0);
  #counter = 0;

  constructor(recipients: readonly Uint8Array[]) {
    if (recipients.length === 0) throw new SealError('key', 'An encrypted file needs at least one recipient.');
    const fileKey = randomBytes(16);
    const text = `${INTRO}\n${recipients.map((one) => stanza(fileKey, one)).join('')}---`;
    const nonce = randomBytes(16);
    this.head = Buffer.concat([Buffer.from(`${text} ${plainBase64(headerMac(fileKey, text))}\n`), nonce]);
    this.#key = derive(fileKey, nonce, 'payload');
    fileKey.fill(0);
  }

  /** Takes plaintext; returns the chunks that are full. The last chunk is kept back: it is marked as such. */
  push(plaintext: Uint8Array): Buffer {
    let rest = this.#held.length === 0 ? Buffer.from(plaintext) : Buffer.concat([this.#held, plaintext]);
    const sealed: Buffer[] = [];
    while (rest.length > CHUNK) {
      sealed.push(seal(this.#key, chunkNonce(this.#counter++, false), rest.subarray(0, CHUNK)));
      rest = rest.subarray(CHUNK);
    }
    this.#held = rest;
    return Buffer.concat(sealed);
  }

  end(): Buffer {
    const last = seal(this.#key, chunkNonce(this.#counter, true), this.#held);
    this.#held.fill(0);
    this.#key.fill(0);
    return last;
  }
}

/** Reads an encrypted stream with a raw X25519 private key. What `push` returned before `end` passed may be cut short. */
export class AgeReader {
  readonly #identity: Uint8Array;
  #held: Buffer = Buffer.alloc(0);
  #key: Buffer | undefined;
  #counter = 0;

  constructor(identity: Uint8Array) {
    this.#identity = identity;
  }

  /** Returns the plaintext of whole chunks. Throws SealError `age` with the reason. */
  push(bytes: Uint8Array): Buffer {
    this.#held = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    if (this.#key === undefined && !this.#header()) return Buffer.alloc(0);
    const opened: Buffer[] = [];
    while (this.#held.length > CHUNK + TAG) {
      opened.push(this.#chunk(this.#held.subarray(0, CHUNK + TAG), false));
      this.#held = this.#held.subarray(CHUNK + TAG);
    }
    return Buffer.concat(opened);
  }

  /** The last chunk. Throws SealError `age` if the file was cut or changed. */
  end(): Buffer {
    if (this.#key === undefined || this.#held.length < TAG) throw refused('it is cut off');
    const last = this.#chunk(this.#held, true);
    if (last.length === 0 && this.#counter > 1) throw refused('its end is malformed');
    this.#key.fill(0);
    return last;
  }

  #chunk(sealed: Uint8Array, last: boolean): Buffer {
    const plain = open(this.#key!, chunkNonce(this.#counter++, last), sealed);
    if (plain === undefined) throw refused('it was cut or changed');
    return plain;
  }

  #header(): boolean {
    const mark = this.#held.indexOf('\n--- ');
    const end = mark < 0 ? -1 : this.#held.indexOf('\n', mark + 1);
    if (this.#held.length > 22 && this.#held.toString('latin1', 0, 22) !== `${INTRO}\n`)
      throw refused('it is not an age file');
    if (end < 0 || this.#held.length < end + 1 + 16) {
      if (this.#held.length > HEADER) throw refused('its header is too long');
      return false;
    }
    const text = this.#held.toString('latin1', 0, mark + 4);
    const fileKey = this.#fileKey(text.split('\n').slice(1, -1));
    const mac = fromPlain(this.#held.toString('latin1', mark + 5, end), 32);
    if (mac === undefined || !equalBytes(mac, headerMac(fileKey, text))) throw refused('its header was changed');
    this.#key = derive(fileKey, this.#held.subarray(end + 1, end + 17), 'payload');
    fileKey.fill(0);
    this.#held = this.#held.subarray(end + 17);
    return true;
  }

  #fileKey(lines: readonly string[]): Buffer {
    const privateKey = x25519Private(this.#identity);
    const own = x25519Raw(privateKey);
    for (let i = 0; i < lines.length; i++) {
      const share = /^-> X25519 (\S+)$/.exec(lines[i]!)?.[1];
      const raw = share === undefined ? undefined : fromPlain(share, 32);
      const body = raw === undefined ? undefined : fromPlain(lines[i + 1] ?? '', 32);
      if (raw === undefined || body === undefined) continue;
      try {
        const shared = diffieHellman({ privateKey, publicKey: x25519Public(raw) });
        const key = derive(shared, Buffer.concat([raw, own]), `${INTRO}/X25519`);
        const fileKey = open(key, ZERO_NONCE, body);
        if (fileKey?.length === 16) return fileKey;
      } catch {
        // a share of low order: not a stanza of ours
      }
    }
    throw refused('it was encrypted to another key');
  }
}

/** A small file as a whole. */
export function ageSeal(recipients: readonly Uint8Array[], plaintext: Uint8Array): Buffer {
  const writer = new AgeWriter(recipients);
  return Buffer.concat([writer.head, writer.push(plaintext), writer.end()]);
}

/** Opens a small file as a whole. Throws SealError `age`. */
export function ageOpen(identity: Uint8Array, file: Uint8Array): Buffer {
  const reader = new AgeReader(identity);
  return Buffer.concat([reader.push(file), reader.end()]);
}
