import { child, expectTag, type Node, octets, oidOf, readDer, TAG } from '../der/read.ts';
import { boolean, integer, nullValue, octetString, oid, sequence } from '../der/write.ts';
import { WireError } from '../error.ts';

const SHA256 = '2.16.840.1.101.3.4.2.1';
const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const GENERALIZED_TIME = 0x18;

/** What a time stamp authority granted. Its signature is not judged here. */
export interface TimeStamp {
  /** SHA-256 that was stamped. */
  readonly digest: Buffer;
  readonly nonce: Buffer | undefined;
  /** When, by the authority's clock, milliseconds since 1970. */
  readonly time: number;
}

/** A TimeStampReq for a SHA-256 digest that asks for the authority's certificate too. RFC 3161 section 2.4.1. */
export function timeStampRequest(digest: Uint8Array, nonce: Uint8Array): Buffer {
  const imprint = sequence(sequence(oid(SHA256), nullValue()), octetString(digest));
  return sequence(integer(1), imprint, integer(nonce), boolean(true));
}

/**
 * Reads a TimeStampResp. Throws WireError `refused` if the authority did not grant it, `tsp` or `der` if it is none. RFC 3161
 * section 2.4.2.
 */
export function readTimeStampReply(bytes: Uint8Array): TimeStamp {
  const reply = expectTag(readDer(bytes), TAG.sequence);
  const status = child(child(reply, 0, TAG.sequence), 0, TAG.integer).value;
  if (status.length !== 1 || status[0]! > 1)
    throw new WireError('refused', 'The time stamp authority refused the request.');
  const token = child(reply, 1, TAG.sequence);
  if (oidOf(child(token, 0, TAG.oid)) !== SIGNED_DATA) throw bad();
  const signedData = child(child(token, 1, 0xa0), 0, TAG.sequence);
  const content = child(signedData, 2, TAG.sequence);
  if (oidOf(child(content, 0, TAG.oid)) !== TST_INFO) throw bad();
  const info = expectTag(readDer(octets(child(child(content, 1, 0xa0), 0))), TAG.sequence);
  // TSTInfo: version, policy, messageImprint, serialNumber, genTime, then what may be left out.
  const imprint = child(info, 2, TAG.sequence);
  if (oidOf(child(child(imprint, 0, TAG.sequence), 0, TAG.oid)) !== SHA256) throw bad();
  const nonce = info.children.slice(5).find(({ tag }) => tag === TAG.integer);
  return {
    digest: octets(child(imprint, 1, TAG.octetString)),
    nonce: nonce === undefined ? undefined : Buffer.from(nonce.value),
    time: genTime(child(info, 4, GENERALIZED_TIME)),
  };
}

const bad = () => new WireError('tsp', 'This is no RFC 3161 time stamp.');

/** GeneralizedTime with a fraction, which RFC 3161 allows and RFC 5280 does not. */
function genTime(node: Node): number {
  const text = Buffer.from(node.value).toString('latin1');
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null) throw bad();
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second) + Math.floor(Number(`0.${match[7] ?? '0'}`) * 1000);
}
