import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import type { Receipt } from '../../../src/seal/messages.ts';
import { ANSWER_INFO, type Found, QUERY_BYTES, QUERY_INFO, type Search } from '../../../src/seal/search-types.ts';
import { challengeOf, fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';
import { canonicalJson, type Json } from '../shared/canonical.ts';
import { type BrowserKey, receiptSigned } from './open.ts';

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** A question as the sealer takes it: `enc` 32 bytes, `ct` of one size, both base64url. */
export interface SealedQuestion {
  readonly seq: number;
  readonly enc: string;
  readonly ct: string;
}

/**
 * Seals what is searched for to the sealer, in HPKE's auth mode (RFC 9180 section 5.1.3): it counts only from the browser whose
 * key the touch covers. `sealerKey`: raw X25519, base64url. Throws if it is too long.
 */
export async function sealQuestion(given: {
  readonly sealerKey: string;
  readonly pair: BrowserKey;
  readonly search: Search;
  readonly seq: number;
  readonly query: string;
}): Promise<SealedQuestion> {
  const { sealerKey, pair, search, seq, query } = given;
  const text = utf8(query);
  if (text.length > QUERY_BYTES - 2) throw new Error('This is too long to be searched. Type a part of it.');
  const padded = new Uint8Array(QUERY_BYTES);
  new DataView(padded.buffer).setUint16(0, text.length);
  padded.set(text, 2);
  const sender = await suite.createSenderContext({
    recipientPublicKey: await suite.kem.deserializePublicKey(fromBase64url(sealerKey).buffer),
    senderKey: pair,
    info: utf8(QUERY_INFO),
  });
  const aad = utf8(canonicalJson({ grant: toBase64url(await challengeOf(search)), seq }));
  const ct = await sender.seal(padded, aad);
  return { seq, enc: toBase64url(sender.enc), ct: toBase64url(ct) };
}

/**
 * Opens an answer. Throws if the ledger did not sign that it wrote the question down first, or if it was made for another key,
 * question or receipt.
 */
export async function openFound(given: {
  readonly ledgerKey: string;
  readonly pair: BrowserKey;
  readonly search: Search;
  readonly seq: number;
  readonly answer: { readonly enc: string; readonly ct: string; readonly receipt: Receipt };
}): Promise<Found> {
  const { ledgerKey, pair, search, seq, answer } = given;
  if (!(await receiptSigned(ledgerKey, answer.receipt, search)))
    throw new Error(
      'The answer came without a valid receipt of the ledger, so nothing is shown. Tell your security team: this should never happen.',
    );
  const recipient = await suite.createRecipientContext({
    recipientKey: pair,
    enc: fromBase64url(answer.enc),
    info: utf8(ANSWER_INFO),
  });
  const aad = utf8(canonicalJson(answer.receipt as unknown as Json));
  const found = JSON.parse(new TextDecoder().decode(await recipient.open(fromBase64url(answer.ct), aad))) as Found;
  if (found.seq !== seq || found.hits.some(({ subject }) => !answer.receipt.opened.includes(subject)))
    throw new Error('The answer belongs to another question, so it is not shown. Ask again.');
  return found;
}
