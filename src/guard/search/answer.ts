import { canonicalJson, fromBase64url, type Json, toBase64url } from '#base';
import { ANSWER_INFO, challengeOf, GuardError, hpkeSeal, type Receipt, type Search, verifyReceipt } from '#seal';

/** What the ledger says to a question. */
export interface Answered {
  readonly receipt: Receipt;
  readonly left: { readonly touch: number; readonly admin: number };
}

/** Answers are of one size, whatever was found. */
const ANSWER_BYTES = 4096;

/**
 * Checks the ledger's receipt and seals an answer to the browser that asked. Names are put in as bytes and wiped with the
 * plaintext. Throws GuardError `refused`.
 */
export function sealAnswer(given: {
  readonly ledgerKey: string;
  readonly search: Search;
  readonly seq: number;
  readonly answer: Answered;
  readonly more: boolean;
  /** By handle; undefined where only handles are answered. */
  readonly names: ReadonlyMap<string, Uint8Array> | undefined;
}): { enc: string; ct: string; receipt: Receipt } {
  const { ledgerKey, search, seq, names, more } = given;
  const { receipt, left } = given.answer;
  const fits =
    verifyReceipt(ledgerKey, receipt) &&
    receipt.grant === search.id &&
    receipt.grantSha256 === toBase64url(challengeOf(search)) &&
    receipt.opened.every((subject) => names === undefined || names.has(subject));
  if (!fits) throw new GuardError('refused', 'The ledger gave no valid receipt. Nothing is shown without one.');
  const parts: Uint8Array[] = [Buffer.from('{"hits":[')];
  for (const [i, subject] of receipt.opened.entries()) {
    const name = names?.get(subject);
    parts.push(Buffer.from(i === 0 ? '{' : ',{'));
    if (name !== undefined) parts.push(Buffer.from('"name":"'), jsonText(name), Buffer.from('",'));
    parts.push(Buffer.from(`"subject":${JSON.stringify(subject)}}`));
  }
  parts.push(Buffer.from(`],"left":${canonicalJson(left as unknown as Json)},"more":${more},"seq":${seq}}`));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const plaintext = Buffer.alloc(Math.ceil(length / ANSWER_BYTES) * ANSWER_BYTES, 0x20);
  let at = 0;
  for (const part of parts) {
    plaintext.set(part, at);
    at += part.length;
    part.fill(0);
  }
  const aad = Buffer.from(canonicalJson(receipt as unknown as Json));
  const sealed = hpkeSeal(fromBase64url(search.browserKey), plaintext, { info: ANSWER_INFO, aad });
  plaintext.fill(0);
  return { enc: toBase64url(sealed.subarray(0, 32)), ct: toBase64url(sealed.subarray(32)), receipt };
}

/** UTF-8 bytes as they stand within a JSON string (RFC 8259 section 7). */
function jsonText(bytes: Uint8Array): Buffer {
  const escaped = Buffer.alloc(bytes.length * 6);
  let end = 0;
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) escaped[end++] = 0x5c;
    if (byte < 0x20) end += escaped.write(`\\u00${byte.toString(16).padStart(2, '0')}`, end);
    else escaped[end++] = byte;
  }
  const text = Buffer.alloc(end);
  escaped.copy(text, 0, 0, end);
  escaped.fill(0);
  return text;
}
