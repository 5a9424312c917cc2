import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import type { Field } from '../../../../src/seal/messages.ts';
import {
  BOX_INFO,
  LOCK_KEY_SEED,
  RECOVERY_BOX,
  THIRD_BYTES,
  THIRD_INFO,
  type ThirdBox,
  type ThirdState,
} from '../../../../src/seal/third-types.ts';
import { fromBase64url, toBase64url, utf8 } from '../../shared/bytes.ts';
import { sealer } from '../import/hpke.ts';
import type { BrowserKey } from '../open.ts';

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
// PKCS #8 up to a raw X25519 key, RFC 8410 section 7.
const PKCS8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20]);

type Bytes = Uint8Array<ArrayBuffer>;

/** A key pair whose private half cannot leave this page, and its raw public half. */
interface ThirdPair {
  readonly pair: BrowserKey;
  readonly publicKey: string;
}

/** The X25519 key of 32 secret bytes, for one purpose. Wipes what is in between. */
async function derived(secret: Bytes, purpose: string): Promise<ThirdPair> {
  const ikm = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const bits = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8(purpose) };
  const raw = new Uint8Array(await crypto.subtle.deriveBits(bits, ikm, 256));
  const pkcs8 = new Uint8Array([...PKCS8, ...raw]);
  // Only an exportable key tells its public half; the one that is kept is not.
  const open = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'X25519' }, true, ['deriveBits']);
  const { x } = await crypto.subtle.exportKey('jwk', open);
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'X25519' }, false, ['deriveBits']);
  raw.fill(0);
  pkcs8.fill(0);
  const publicKey = await crypto.subtle.importKey('raw', fromBase64url(x!), { name: 'X25519' }, true, []);
  return { pair: { privateKey, publicKey }, publicKey: x! };
}

/** The key to which boxes for a passkey are sealed, of what its PRF gave. */
export const lockKeyOf = (prf: Bytes): Promise<ThirdPair> => derived(prf, LOCK_KEY_SEED);
const thirdKeyOf = (seed: Bytes): Promise<ThirdPair> => derived(seed, THIRD_INFO);

async function opened(pair: BrowserKey, info: string, aad: string, sealed: Bytes): Promise<Bytes> {
  const context = await suite.createRecipientContext({
    recipientKey: pair,
    enc: sealed.slice(0, 32),
    info: utf8(info),
  });
  return new Uint8Array(await context.open(sealed.slice(32), utf8(aad)));
}

const aadOf = (org: string, third: string, whose: string) => `${org}|${third}|${whose}`;

/** A new third lock: its seed stays with whoever asked; its public key goes into documents. */
export async function newThird(): Promise<{ seed: Bytes; key: string }> {
  const seed = crypto.getRandomValues(new Uint8Array(32));
  return { seed, key: (await thirdKeyOf(seed)).publicKey };
}

/** The seed in a box for each of these passkeys, in the order in which documents want them. */
export async function boxesFor(
  org: string,
  third: { readonly seed: Bytes; readonly key: string },
  keys: ThirdState['keys'],
): Promise<ThirdBox[]> {
  const boxes: ThirdBox[] = [];
  for (const { credential, key } of keys) {
    const seal = await sealer(fromBase64url(key), BOX_INFO);
    boxes.push({ credential, box: toBase64url(await seal(third.seed, utf8(aadOf(org, third.key, credential)))) });
  }
  return boxes.sort((a, b) => (a.credential < b.credential ? -1 : 1));
}

/** The same for the recovery key. */
export async function recoveryBox(
  org: string,
  third: { readonly seed: Bytes; readonly key: string },
  recoveryKey: string,
): Promise<string> {
  const seal = await sealer(fromBase64url(recoveryKey), BOX_INFO);
  return toBase64url(await seal(third.seed, utf8(aadOf(org, third.key, RECOVERY_BOX))));
}

/** The seed, out of this passkey's box. Throws, in words, if there is none or it is not good. */
export async function seedOf(org: string, state: ThirdState, credential: string, prf: Bytes): Promise<Bytes> {
  const key = state.inForce ?? state.proposed?.key;
  const box = state.boxes.find((one) => one.credential === credential)?.box;
  if (key === undefined || box === undefined) {
    throw new Error(
      'The third lock was not shared with this passkey yet. Somebody who can open it does that on glass, under Third lock.',
    );
  }
  const { pair } = await lockKeyOf(prf);
  const seed = await opened(pair, BOX_INFO, aadOf(org, key, credential), fromBase64url(box)).catch(() => undefined);
  if (seed?.length !== 32 || (await thirdKeyOf(seed)).publicKey !== key) {
    throw new Error(
      'This passkey’s box does not open. Ask a colleague to share the third lock with another passkey of yours.',
    );
  }
  return seed;
}

/** Opens values under the third lock, one by one, with a key that dies with this page. Wipes the seed. */
export async function thirdOpener(
  org: string,
  field: Field,
  seed: Bytes,
): Promise<(label: { subject: string; version: number }, padded: Bytes) => Promise<string>> {
  const { pair } = await thirdKeyOf(seed);
  seed.fill(0);
  return async ({ subject, version }, padded) => {
    const inside = await opened(pair, THIRD_INFO, `${org}|${subject}|${field}|${version}`, padded.slice(2));
    const length = inside[0]! * 256 + inside[1]!;
    if (length > THIRD_BYTES) throw new Error('A value under the third lock is not as writers make them.');
    return new TextDecoder().decode(inside.subarray(2, 2 + length));
  };
}
