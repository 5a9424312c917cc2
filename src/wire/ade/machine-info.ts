import { parseSigned, type SignedMessage, verifySigned } from '../cms/signed.ts';
import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, textAt } from '../plist/value.ts';
import { publicKeyOf, verifyWith } from '../x509/algorithms.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';

/** What a device says of itself when it asks for its enrolment profile (Apple: MachineInfo). Its language is dropped. */
export interface MachineInfo {
  /** Absent under user enrolment, which tells no identifier of the device. */
  readonly udid: string | undefined;
  readonly serial: string | undefined;
  /** Such as `iPhone14,5`. */
  readonly product: string | undefined;
  readonly osVersion: string | undefined;
  readonly build: string | undefined;
  /** Whether the device can be told to update before it enrols. */
  readonly canUpdate: boolean;
  /** Whether the signature leads to one of the given authorities. */
  readonly verified: boolean;
}

const MAX_BYTES = 64 * 1024;
const LONGEST_CHAIN = 4;

/**
 * Reads a CMS-signed MachineInfo. The signature must hold under the certificate it carries; `verified` says whether that
 * certificate leads to one of `authorities`. Their dates are not looked at: Apple's iPhone device CA ended in 2014 and
 * phones go on to be certified by it. Throws WireError.
 */
export function parseMachineInfo(message: Uint8Array, authorities: readonly Certificate[]): MachineInfo {
  if (message.length > MAX_BYTES) throw new WireError('machine-info', 'The device’s message is too long.');
  const signed = parseSigned(message);
  if (signed.content === undefined) throw new WireError('machine-info', 'The device’s message is empty.');
  // SHA-1 with a key of 1024 bits is what Apple's device CA gives older phones.
  const signer = verifySigned(signed, signed.content, { allowLegacyDigest: true });
  const dict = parsePlist(signed.content, { maxBytes: MAX_BYTES });
  if (!isDict(dict)) throw new WireError('machine-info', 'The device’s message is not a dictionary.');
  const text = (key: string, form: RegExp) => {
    const value = textAt(dict, key);
    return value !== undefined && form.test(value) ? value : undefined;
  };
  return {
    udid: text('UDID', /^[A-Za-z0-9._-]{1,128}$/),
    serial: text('SERIAL', /^[A-Za-z0-9-]{1,64}$/),
    product: text('PRODUCT', /^[A-Za-z0-9,. -]{1,64}$/),
    osVersion: text('OS_VERSION', /^[0-9.]{1,32}$/),
    build: text('VERSION', /^[A-Za-z0-9.]{1,32}$/),
    canUpdate: dict.get('MDM_CAN_REQUEST_SOFTWARE_UPDATE') === true,
    verified: leadsTo(signer, embedded(signed), authorities),
  };
}

function embedded(signed: SignedMessage): Certificate[] {
  return signed.certificates.map((bytes) => parseCertificate(bytes));
}

function leadsTo(signer: Certificate, between: readonly Certificate[], authorities: readonly Certificate[]): boolean {
  let at = signer;
  for (let step = 0; step < LONGEST_CHAIN; step += 1) {
    if (authorities.some((authority) => issued(authority, at))) return true;
    const next = between.find((one) => one !== at && issued(one, at));
    if (next === undefined) return false;
    at = next;
  }
  return false;
}

function issued(authority: Certificate, certificate: Certificate): boolean {
  if (!authority.isCa || Buffer.compare(certificate.issuer, authority.subject) !== 0) return false;
  if (Buffer.compare(authority.der, certificate.der) === 0) return false;
  const { algorithm, tbs, signature } = certificate;
  return verifyWith(algorithm, undefined, tbs, publicKeyOf(authority.spki), signature);
}

/** The 403 document that sends a device to update first (Apple: ErrorCodeSoftwareUpdateRequired). */
export function updateRequired(osVersion: string): Buffer {
  return Buffer.from(
    JSON.stringify({
      code: 'com.apple.softwareupdate.required',
      description: 'The device must be updated before it can be managed.',
      message: `Your organisation asks for version ${osVersion} or later.`,
      details: { OSVersion: osVersion },
    }),
  );
}

/** The 403 document for a device that is not ours (Apple: ErrorUnrecognizedDevice). */
export function unrecognisedDevice(): Buffer {
  return Buffer.from(
    JSON.stringify({
      code: 'com.apple.unrecognized.device',
      description: 'This device is not assigned to this server.',
      message: 'Ask your administrator to assign this device to your organisation’s server.',
    }),
  );
}
