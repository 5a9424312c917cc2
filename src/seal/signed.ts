import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { canonicalJson, fromBase64url, type Json, sha256, toBase64url } from '#base';
import type { DeclarePermit, Permit, Receipt, Signable } from './messages.ts';

/** SHA-256 of the document's canonical JSON: what a passkey is asked to sign. 32 bytes. */
export function challengeOf(document: Signable): Buffer {
  return sha256(canonicalJson(document as unknown as Json));
}

function ed25519(spki: string): KeyObject {
  const key = createPublicKey({ key: Buffer.from(fromBase64url(spki)), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
  return key;
}

/** Signs a body's canonical JSON; base64url. For the statements of this room. */
export function signBody(privateKey: KeyObject, body: object): string {
  return toBase64url(sign(null, Buffer.from(canonicalJson(body as Json)), privateKey));
}

/** Whether this Ed25519 SPKI signed a body's canonical JSON. Never throws. */
export function checkBody(spki: string, body: object, signature: string): boolean {
  try {
    return verify(null, Buffer.from(canonicalJson(body as Json)), ed25519(spki), fromBase64url(signature));
  } catch {
    return false;
  }
}

/** Signs a receipt with the ledger's Ed25519 key. */
export function signReceipt(privateKey: KeyObject, body: Omit<Receipt, 'signature'>): Receipt {
  return { ...body, signature: signBody(privateKey, body) };
}

/** True if the receipt was signed by the ledger whose Ed25519 SPKI (base64url DER) is given. */
export function verifyReceipt(ledgerSpki: string, receipt: Receipt): boolean {
  const { signature, ...body } = receipt;
  return checkBody(ledgerSpki, body, signature);
}

/** Signs a permit with the ledger's Ed25519 key. */
export function signPermit(privateKey: KeyObject, body: Omit<Permit, 'signature'>): Permit {
  return { ...body, signature: signBody(privateKey, body) };
}

/** True if the ledger signed the permit. The caller compares device, uuid, body and verb, and `notAfter` with its clock. */
export function verifyPermit(ledgerSpki: string, permit: Permit): boolean {
  const { signature, ...body } = permit;
  return checkBody(ledgerSpki, body, signature);
}

/** Signs a permit for declarations with the ledger's Ed25519 key. */
export function signDeclarePermit(
  privateKey: KeyObject,
  body: Omit<DeclarePermit, 'v' | 'op' | 'signature'>,
): DeclarePermit {
  const whole = { v: 1, op: 'declare', ...body } as const;
  return { ...whole, signature: signBody(privateKey, whole) };
}

/** True if the ledger signed this permit. The caller compares declarations and devices, and `until` with its clock. */
export function verifyDeclarePermit(ledgerSpki: string, permit: DeclarePermit): boolean {
  const { signature, ...body } = permit;
  // Its own `op`, so that no other statement of the ledger reads as one.
  return body.v === 1 && body.op === 'declare' && checkBody(ledgerSpki, body, signature);
}

/** What core signs for every command: this verb with exactly these bytes for this device, once. */
export interface Delivery {
  readonly device: string;
  readonly uuid: string;
  readonly verb: string;
  /** base64url SHA-256 of the exact bytes that the device will receive. */
  readonly body: string;
}

const statement = ({ device, uuid, verb, body }: Delivery) => ({ v: 1, op: 'deliver', device, uuid, verb, body });

/** Signs a delivery with core's Ed25519 key. Returns the 64-byte signature as base64url. */
export function signDelivery(privateKey: KeyObject, delivery: Delivery): string {
  return signBody(privateKey, statement(delivery));
}

/** True if core, whose Ed25519 SPKI (base64url DER) is given, signed exactly this delivery. */
export function verifyDelivery(coreSpki: string, delivery: Delivery, signature: string | Uint8Array): boolean {
  return checkBody(coreSpki, statement(delivery), typeof signature === 'string' ? signature : toBase64url(signature));
}
