import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8 } from '../../shared/bytes.ts';

// HPKE (RFC 9180), base mode, single shot: DHKEM(X25519 or P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. For many messages:
// keys and ciphers are the browser's own (WebCrypto), which works beside the page; the five short HMACs of the key schedule
// are computed at once, because each would be two more round trips to WebCrypto. Cross-tested with the guards' own HPKE.

type Bytes = Uint8Array<ArrayBuffer>;
type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;
interface Pair {
  readonly privateKey: Key;
  readonly publicKey: Key;
}

const EMPTY: Bytes = new Uint8Array(0);
const VERSION = utf8('HPKE-v1');

function join(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const extract = (suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Bytes =>
  new Uint8Array(hmac(sha256, salt, join(VERSION, suite, utf8(label), ikm)));

/** Never more than one block of HKDF: length <= 32 everywhere in this suite. */
const expand = (suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number): Bytes =>
  new Uint8Array(
    hmac(sha256, prk, join(Uint8Array.of(0, length), VERSION, suite, utf8(label), info, Uint8Array.of(1))),
  ).slice(0, length);

const KEMS = {
  x25519: { id: 0x20, algorithm: { name: 'X25519' } },
  p256: { id: 0x10, algorithm: { name: 'ECDH', namedCurve: 'P-256' } },
} as const;

/** Seals to one public key for one purpose. Returns what the guards read: encapsulated key (32 bytes) ‖ ciphertext ‖ tag. */
export type Seal = (plaintext: Bytes, aad: Bytes) => Promise<Bytes>;

/** `raw`: X25519 (32 bytes), or an uncompressed P-256 point (65), of which 32 bytes are written: x, where y is even. */
export async function sealer(raw: Bytes, info: string): Promise<Seal> {
  const { id, algorithm } = KEMS[raw.length === 32 ? 'x25519' : 'p256'];
  const kem = join(utf8('KEM'), Uint8Array.of(0, id));
  const suite = join(utf8('HPKE'), Uint8Array.of(0, id, 0, 1, 0, 2));
  const context = join(
    Uint8Array.of(0),
    extract(suite, EMPTY, 'psk_id_hash', EMPTY),
    extract(suite, EMPTY, 'info_hash', utf8(info)),
  );
  const recipient = await crypto.subtle.importKey('raw', raw, algorithm, true, []);

  async function ephemeral(): Promise<{ pair: Pair; enc: Bytes }> {
    for (;;) {
      const pair = (await crypto.subtle.generateKey(algorithm, false, ['deriveBits'])) as unknown as Pair;
      const enc = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
      if (id === KEMS.x25519.id || enc[64]! % 2 === 0) return { pair, enc };
    }
  }

  return async (plaintext, aad) => {
    const { pair, enc } = await ephemeral();
    const dh = new Uint8Array(
      await crypto.subtle.deriveBits(
        { name: algorithm.name, public: recipient } as unknown as Parameters<typeof crypto.subtle.deriveBits>[0],
        pair.privateKey,
        256,
      ),
    );
    const shared = expand(kem, extract(kem, EMPTY, 'eae_prk', dh), 'shared_secret', join(enc, raw), 32);
    const secret = extract(suite, shared, 'secret', EMPTY);
    const [bytes, iv] = [expand(suite, secret, 'key', context, 32), expand(suite, secret, 'base_nonce', context, 12)];
    const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt']);
    const sealed = await crypto.subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData: aad, tagLength: 128 },
      key,
      plaintext,
    );
    for (const used of [dh, shared, secret, bytes]) used.fill(0);
    return join(id === KEMS.x25519.id ? enc : enc.slice(1, 33), new Uint8Array(sealed));
  };
}
