import { randomUUID } from 'node:crypto';
import type { AcmeEnrolment } from './acme.ts';
import { readSigned } from './cms.ts';
import type { Enrolment, InstalledProfile, PhoneState } from './phone-state.ts';
import { decodePlist, dict, type PlistDict, type PlistValue, text } from './plist.ts';
import type { SubjectParts } from './scep.ts';

/** What an enrolment profile asks for. */
export interface EnrolmentProfile {
  readonly enrolment: Enrolment;
  readonly installed: InstalledProfile;
  readonly identity:
    | {
        readonly kind: 'scep';
        readonly url: string;
        readonly challenge: string;
        readonly subject: SubjectParts;
        readonly keySize: number;
        readonly fingerprint?: Uint8Array;
      }
    | ({ readonly kind: 'acme' } & AcmeEnrolment);
}

/** Profile bytes to their dictionary; a signed profile's signature must hold under its own certificate. */
export function openProfile(bytes: Buffer): PlistDict {
  if (bytes[0] !== 0x30) return dict(decodePlist(bytes));
  const signed = readSigned(bytes);
  if (!signed.certificates.some((certificate) => signed.signedBy(certificate))) {
    throw new SyntaxError('the signature of the profile does not hold');
  }
  return dict(decodePlist(signed.content));
}

function payloads(profile: PlistDict): PlistDict[] {
  const content = profile['PayloadContent'];
  if (!Array.isArray(content)) throw new SyntaxError('the profile has no PayloadContent');
  return content.map((item: PlistValue) => dict(item));
}

export function describeProfile(profile: PlistDict, managed: boolean): InstalledProfile {
  if (profile['PayloadType'] !== 'Configuration') throw new SyntaxError('not a configuration profile');
  return {
    identifier: text(profile, 'PayloadIdentifier'),
    uuid: text(profile, 'PayloadUUID'),
    name: typeof profile['PayloadDisplayName'] === 'string' ? profile['PayloadDisplayName'] : '',
    payloads: payloads(profile).map((payload) => text(payload, 'PayloadType')),
    managed,
  };
}

function readSubject(value: PlistValue | undefined): SubjectParts {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new SyntaxError('Subject must be an array');
  return value.map((relative: PlistValue) => {
    if (!Array.isArray(relative)) throw new SyntaxError('Subject must be an array of arrays');
    return relative.map((pair: PlistValue) => {
      if (!Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') {
        throw new SyntaxError('Subject must name type and value');
      }
      return [pair[0], pair[1]] as const;
    });
  });
}

/**
 * Reads an enrolment profile: exactly one identity by SCEP and one MDM payload that names it. Throws SyntaxError
 * where a phone would say that the profile is invalid.
 */
export function readEnrolmentProfile(bytes: Buffer): EnrolmentProfile {
  const profile = openProfile(bytes);
  const all = payloads(profile);
  const mdm = all.filter((payload) => payload['PayloadType'] === 'com.apple.mdm');
  if (mdm.length !== 1) throw new SyntaxError('an enrolment profile holds exactly one MDM payload');
  const wanted = text(mdm[0]!, 'IdentityCertificateUUID');
  const identity = all.find((payload) => payload['PayloadUUID'] === wanted);
  if (identity === undefined) throw new SyntaxError('the MDM payload must name its identity');
  const serverUrl = text(mdm[0]!, 'ServerURL');
  return {
    enrolment: {
      serverUrl,
      checkInUrl: mdm[0]!['CheckInURL'] === undefined ? serverUrl : text(mdm[0]!, 'CheckInURL'),
      topic: text(mdm[0]!, 'Topic'),
      signMessage: mdm[0]!['SignMessage'] === true,
      accessRights: mdm[0]!['EnrollmentMode'] === 'BYOD' ? USER_RIGHTS : Number(mdm[0]!['AccessRights'] ?? 0),
      checkOutWhenRemoved: mdm[0]!['CheckOutWhenRemoved'] === true,
      profile: text(profile, 'PayloadIdentifier'),
      ...userEnrolment(mdm[0]!),
    },
    installed: describeProfile(profile, true),
    identity: readIdentity(identity),
  };
}

function readIdentity(identity: PlistDict): EnrolmentProfile['identity'] {
  if (identity['PayloadType'] === 'com.apple.security.acme') {
    // Both must be there (Apple's schema of the payload); only a hardware-bound key can be attested.
    const attest = identity['Attest'];
    const bound = identity['HardwareBound'];
    if (typeof attest !== 'boolean' || typeof bound !== 'boolean' || (attest && !bound)) {
      throw new SyntaxError('the ACME payload must say HardwareBound and Attest');
    }
    if (identity['KeyType'] !== 'ECSECPrimeRandom' || Number(identity['KeySize']) !== 384) {
      throw new SyntaxError('this phone makes P-384 keys for ACME');
    }
    return {
      kind: 'acme',
      directoryUrl: text(identity, 'DirectoryURL'),
      clientIdentifier: text(identity, 'ClientIdentifier'),
      attest,
      subject: readSubject(identity['Subject']),
    };
  }
  if (identity['PayloadType'] !== 'com.apple.security.scep') {
    throw new SyntaxError('the MDM payload must name a SCEP or ACME identity');
  }
  const scep = dict(identity['PayloadContent']);
  const fingerprint = scep['CAFingerprint'];
  return {
    kind: 'scep',
    url: text(scep, 'URL'),
    challenge: typeof scep['Challenge'] === 'string' ? scep['Challenge'] : '',
    subject: readSubject(scep['Subject']),
    // The protocol's default when the profile says nothing.
    keySize: Number(scep['Keysize'] ?? 1024),
    ...(fingerprint instanceof Uint8Array ? { fingerprint } : {}),
  };
}

/**
 * The enrolment profile in an InstallProfile command, if it is the phone's own once more: the same identifier, addresses,
 * topic and account, and no right that it did not have. Anything else that manages is left to be refused.
 */
export function enrolmentAnew(state: PhoneState, command: PlistValue | undefined): EnrolmentProfile | undefined {
  const given = dict(command);
  if (given['RequestType'] !== 'InstallProfile' || !(given['Payload'] instanceof Uint8Array)) return undefined;
  let profile: EnrolmentProfile;
  try {
    profile = readEnrolmentProfile(Buffer.from(given['Payload']));
  } catch {
    return undefined;
  }
  const { enrolment } = state;
  const same =
    enrolment?.profile === profile.enrolment.profile &&
    enrolment.serverUrl === profile.enrolment.serverUrl &&
    enrolment.checkInUrl === profile.enrolment.checkInUrl &&
    enrolment.account === profile.enrolment.account &&
    (profile.enrolment.accessRights & ~enrolment.accessRights) === 0 &&
    enrolment.topic === profile.enrolment.topic;
  return same ? profile : undefined;
}

/** What a server may do under user enrolment, as rights: inspect and change profiles, lock, facts; never erase. */
const USER_RIGHTS = 1 | 2 | 4 | 16 | 1024;

/** A profile for user enrolment names an account and no rights; the device refuses any other. */
function userEnrolment(mdm: PlistDict): { enrollmentId?: string; account?: string } {
  if (mdm['EnrollmentMode'] === undefined) return {};
  const account = mdm['AssignedManagedAppleID'];
  // Account-driven device enrolment: the whole device, with rights, under the names that it always has.
  if (mdm['EnrollmentMode'] === 'ADDE') {
    if (typeof account === 'string' && account !== '' && 'AccessRights' in mdm) return { account };
    throw new SyntaxError('the profile is not one for device enrolment by account');
  }
  if (mdm['EnrollmentMode'] !== 'BYOD' || typeof account !== 'string' || account === '' || 'AccessRights' in mdm) {
    throw new SyntaxError('the profile is not one for user enrolment');
  }
  return { enrollmentId: randomUUID().toUpperCase(), account };
}
