import { randomBytes } from 'node:crypto';
import { sha256 } from '#base';
import { readTimeStampReply, timeStampRequest, WireError } from '#wire';
import { EvidenceError } from './error.ts';
import { post } from './post.ts';
import type { Outsider } from './settings.ts';

export interface Stamped {
  /** The TimeStampResp as it came, for `openssl ts -verify`. */
  readonly reply: Buffer;
  /** By the authority's clock. */
  readonly time: number;
}

/**
 * Has bytes stamped. Status, imprint and nonce are checked here; whether the signature is worth anything is for whoever
 * verifies, with the authority's certificate and OpenSSL. Throws EvidenceError. RFC 3161 section 3.4.
 */
export async function askAuthority(authority: Outsider, bytes: Uint8Array): Promise<Stamped> {
  const digest = sha256(bytes);
  const nonce = randomBytes(8);
  // A positive INTEGER of exactly eight bytes has one spelling.
  nonce[0] = (nonce[0]! & 0x3f) | 0x40;
  const asked = timeStampRequest(digest, nonce);
  const { status, body } = await post(authority, '', 'application/timestamp-query', asked);
  if (status !== 200) throw new EvidenceError(`status-${status}`, `${authority.name} did not stamp (${status}).`);
  try {
    const stamp = readTimeStampReply(body);
    if (stamp.digest.equals(digest) && stamp.nonce?.equals(nonce)) return { reply: body, time: stamp.time };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new EvidenceError(error.code === 'refused' ? 'refused' : 'answer', error.message);
  }
  throw new EvidenceError('answer', `${authority.name} stamped something else than it was asked to.`);
}
