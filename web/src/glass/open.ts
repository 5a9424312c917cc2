import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import type { Grant, Receipt } from '../../../src/seal/messages.ts';
import { challengeOf, fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';
import { canonicalJson, type Json } from '../shared/canonical.ts';

const INFO = 'bartizan reveal v1';
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** Taken from the function, so that the type is the same with Node's and with the browser's declarations. */
type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** WebCrypto's key pair. */
export interface BrowserKey {
  readonly privateKey: Key;
  readonly publicKey: Key;
}

/** A key pair for one reveal. The private half cannot leave this page and dies with it. */
export async function newBrowserKey(): Promise<{ pair: BrowserKey; publicKey: string }> {
  const pair = (await crypto.subtle.generateKey({ name: 'X25519' }, false, ['deriveBits'])) as unknown as BrowserKey;
  return { pair, publicKey: toBase64url(await crypto.subtle.exportKey('raw', pair.publicKey)) };
}

/**
 * True if the ledger signed this receipt for exactly this document: it says that the entry was written to the log before
 * anything was opened. `ledgerSpki` is the ledger's Ed25519 SPKI DER, base64url.
 */
export async function receiptSigned(
  ledgerSpki: string,
  receipt: Receipt,
  document: { readonly id: string },
): Promise<boolean> {
  const { signature, ...body } = receipt;
  if (receipt.grant !== document.id || receipt.grantSha256 !== toBase64url(await challengeOf(document))) return false;
  const key = await crypto.subtle.importKey('spki', fromBase64url(ledgerSpki), { name: 'Ed25519' }, false, ['verify']);
  const signed = utf8(canonicalJson(body as unknown as Json));
  return crypto.subtle.verify({ name: 'Ed25519' }, key, fromBase64url(signature), signed);
}

/** The same for a grant, which names everybody who may be opened. */
export async function receiptHolds(ledgerSpki: string, receipt: Receipt, grant: Grant): Promise<boolean> {
  return (
    receipt.opened.every((subject) => grant.subjects.includes(subject)) && receiptSigned(ledgerSpki, receipt, grant)
  );
}

/** Opens the sealer's answer. Throws if it was made for another key, another receipt, or was changed on its way. */
export async function openAnswer(
  pair: BrowserKey,
  answer: { enc: string; ct: string; receipt: Receipt },
  openThird?: (label: { subject: string; version: number }, padded: Uint8Array<ArrayBuffer>) => Promise<string>,
): Promise<ReadonlyMap<string, string>> {
  const recipient = await suite.createRecipientContext({
    recipientKey: pair,
    enc: fromBase64url(answer.enc),
    info: utf8(INFO),
  });
  const aad = utf8(canonicalJson(answer.receipt as unknown as Json));
  const plain = JSON.parse(new TextDecoder().decode(await recipient.open(fromBase64url(answer.ct), aad))) as {
    values: Record<string, string>;
    third?: Record<string, { version: number; value: string }>;
  };
  const opened = new Map(Object.entries(plain.values));
  for (const [subject, { version, value }] of Object.entries(plain.third ?? {})) {
    if (openThird === undefined) throw new Error('The third lock has just come into force. Load this page again.');
    opened.set(subject, await openThird({ subject, version }, fromBase64url(value)));
  }
  return opened;
}
