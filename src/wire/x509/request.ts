import { createPublicKey, type KeyObject } from 'node:crypto';
import { child, expectTag, oidOf, readDer, TAG, textOf } from '../der/read.ts';
import { bitString, element, integer, oid, printableString, sequence, setOf, utf8String } from '../der/write.ts';
import { WireError } from '../error.ts';
import { publicKeyOf, signWith, verifyWith } from './algorithms.ts';

const CHALLENGE_PASSWORD = '1.2.840.113549.1.9.7';

/** What we take from a certification request (RFC 2986): the key, proof of its possession, and the challenge. */
export interface CertificateRequest {
  readonly spki: Uint8Array;
  readonly challengePassword: string | undefined;
}

/** Parses a request and verifies its own signature. The subject it wishes for is ignored. Throws WireError `csr`. */
export function parseCsr(der: Uint8Array): CertificateRequest {
  const root = expectTag(readDer(der), TAG.sequence);
  const info = child(root, 0, TAG.sequence);
  const spki = child(info, 2, TAG.sequence).bytes;
  const algorithm = oidOf(child(child(root, 1, TAG.sequence), 0));
  const signature = child(root, 2, TAG.bitString).value.subarray(1);
  if (!verifyWith(algorithm, undefined, info.bytes, publicKeyOf(spki), signature)) {
    throw new WireError('csr', 'The certificate request is not signed by its own key.');
  }
  let challengePassword: string | undefined;
  for (const attribute of info.children.find((node) => node.tag === 0xa0)?.children ?? []) {
    if (oidOf(child(attribute, 0)) !== CHALLENGE_PASSWORD) continue;
    challengePassword = textOf(child(child(attribute, 1, TAG.set), 0));
  }
  return { spki, challengePassword };
}

/** Makes a request, as a device does. */
export function makeCsr(options: { key: KeyObject; commonName: string; challengePassword?: string }): Buffer {
  const attribute =
    options.challengePassword === undefined
      ? []
      : [sequence(oid(CHALLENGE_PASSWORD), setOf(printableString(options.challengePassword)))];
  const info = sequence(
    integer(0),
    sequence(setOf(sequence(oid('2.5.4.3'), utf8String(options.commonName)))),
    createPublicKey(options.key).export({ format: 'der', type: 'spki' }),
    element(0xa0, ...attribute),
  );
  const { algorithm, signature } = signWith(options.key, 'sha256', info);
  return sequence(info, algorithm, bitString(signature));
}
