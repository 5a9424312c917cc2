import { createHash } from 'node:crypto';
import { Finding } from './finding.ts';

const SHA256 = '608648016503040201';
const SIGNED_DATA = '2a864886f70d010702';
const TST_INFO = '2a864886f70d0109100104';
const SEQUENCE = 0x30;
const OCTETS = 0x04;
const OID = 0x06;

interface Element {
  readonly tag: number;
  readonly value: Buffer;
}

/** What a time stamp says. The authority's signature is for `openssl ts -verify` to check. */
export interface Stamp {
  readonly time: string;
  /** Hex. */
  readonly serial: string;
}

/**
 * Reads an RFC 3161 reply or token and compares its imprint with SHA-256 of `stamped`. Throws Finding `stamp`. Who made it
 * is not judged here: that needs the authority's certificate and CMS, which OpenSSL has.
 */
export function readStamp(file: Buffer, stamped: Buffer): Stamp {
  const whole = first(file, SEQUENCE);
  const parts = all(whole);
  let content = parts;
  if (parts[0]?.tag === SEQUENCE) {
    // TimeStampResp (section 2.4.2): 0 granted, 1 granted with modifications.
    const status = all(parts[0].value)[0];
    if (status?.tag !== 0x02 || status.value.length !== 1 || status.value[0]! > 1)
      throw new Finding('stamp', 'The time stamp authority refused the request.');
    if (parts[1]?.tag !== SEQUENCE) throw malformed();
    content = all(parts[1].value);
  }
  if (content[0]?.tag !== OID || content[0].value.toString('hex') !== SIGNED_DATA || content[1]?.tag !== 0xa0)
    throw malformed();
  const signedData = all(first(content[1].value, SEQUENCE));
  const encapsulated = all(tagged(signedData[2], SEQUENCE));
  if (tagged(encapsulated[0], OID).toString('hex') !== TST_INFO) throw malformed();
  const info = all(first(first(tagged(encapsulated[1], 0xa0), OCTETS), SEQUENCE));
  // TSTInfo: version, policy, messageImprint, serialNumber, genTime
  const imprint = all(tagged(info[2], SEQUENCE));
  const algorithm = tagged(all(tagged(imprint[0], SEQUENCE))[0], OID).toString('hex');
  if (algorithm !== SHA256) throw new Finding('stamp', 'The time stamp is over another hash than SHA-256.');
  const hash = createHash('sha256').update(stamped).digest();
  if (!tagged(imprint[1], OCTETS).equals(hash))
    throw new Finding('stamp', 'The time stamp is of something else: its imprint is not the file’s SHA-256.');
  const time = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(tagged(info[4], 0x18).toString('latin1'));
  if (time === null) throw malformed();
  const [, year, month, day, hour, minute, second, fraction = ''] = time;
  return {
    time: `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}Z`,
    serial: tagged(info[3], 0x02).toString('hex'),
  };
}

const malformed = () => new Finding('stamp', 'This is no RFC 3161 time stamp.');

function tagged(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw malformed();
  return element.value;
}

/** The value of the one element that the bytes are. */
function first(bytes: Buffer, tag: number): Buffer {
  const elements = all(bytes);
  if (elements.length !== 1) throw malformed();
  return tagged(elements[0], tag);
}

/** The elements in a row. DER, lengths of at most four bytes. */
function all(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? 0x80;
    let start = at + 2;
    if (length > 0x80 && length <= 0x84) {
      const count = length & 0x7f;
      if (start + count > bytes.length) throw malformed();
      length = bytes.readUIntBE(start, count);
      start += count;
    } else if (length >= 0x80) throw malformed();
    if ((tag & 0x1f) === 0x1f || start + length > bytes.length || found.length > 1000) throw malformed();
    found.push({ tag, value: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
