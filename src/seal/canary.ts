import type { KeyObject } from 'node:crypto';
import { fromBase64url, sha256, toBase64url } from '#base';
import { SealError } from './errors.ts';
import { hpkeOpen, hpkeSeal } from './hpke.ts';

const INFO = 'bartizan canary v1';

/** An address as it is compared: E.164, or e-mail in lower case. Undefined for what is neither. */
export function canaryAddress(text: string): string | undefined {
  const plain = text.trim().toLowerCase();
  if (/^[^\s@<>]{1,64}@[a-z0-9.-]{1,190}$/.test(plain)) return plain;
  const digits = plain
    .replace(/^(tel|sms):/, '')
    .replace(/[\s().-]/g, '')
    .replace(/^00/, '+');
  return /^\+?[0-9]{6,15}$/.test(digits) ? `+${digits.replace('+', '')}` : undefined;
}

/** What stands for a live address in the ledger's journal, base64url. */
export function canaryTag(org: string, address: string): string {
  return toBase64url(sha256('bartizan canary v1\n', org, '\n', address));
}

/** Seals a tag to the ledger: neither the database nor core learns which address was called. 80 bytes. */
export function sealCall(outer: string, tag: string): Buffer {
  return hpkeSeal(fromBase64url(outer), fromBase64url(tag), { info: INFO });
}

/** The ledger's side. Throws SealError `open-failed`. */
export function openCall(privateKey: KeyObject, box: string): string {
  const tag = hpkeOpen(privateKey, fromBase64url(box), { info: INFO });
  if (tag.length !== 32) throw new SealError('open-failed', 'A sealed value does not open.');
  return toBase64url(tag);
}
