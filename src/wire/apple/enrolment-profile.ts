import { sha256 } from '#base';
import type { PlistInput } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';

/** The profile that holds the management payload: removing it removes all that is managed. */
export const ENROLMENT_PROFILE = 'org.bartizan.enrolment';

/** Whether removing the profile of this name ends the device's management. */
export const removesManagement = (identifier: string): boolean => identifier.toLowerCase() === ENROLMENT_PROFILE;

/**
 * All rights of an MDM server but bit 32, network information: without it the device itself refuses to tell its phone
 * number, even to whoever owns the server. A right can never be added later.
 */
const ACCESS_RIGHTS = 8159;

/** How the device gets its identity certificate. */
export type ProfileIdentity =
  | {
      readonly kind: 'scep';
      readonly url: string;
      readonly challenge: string;
      /** SHA-256 or SHA-1 of the RA certificate; lets the device know whom it asks. */
      readonly caFingerprint?: Uint8Array;
    }
  | {
      readonly kind: 'acme';
      readonly directoryUrl: string;
      /** A one-time secret: the order's `permanent-identifier`. */
      readonly clientIdentifier: string;
      /** Asks for Apple's attestation of the key and the device (managed device attestation). */
      readonly attest: boolean;
    };

export interface EnrolmentProfile {
  /** UUID of this enrolment; names the profile and its payloads. */
  readonly id: string;
  readonly organisation: string;
  readonly identity: ProfileIdentity;
  readonly serverUrl: string;
  readonly checkInUrl: string;
  readonly topic: string;
  /**
   * Account-driven enrolment, of a user (`BYOD`) or of the whole device (`ADDE`): the account that the device must sign in
   * to. Personal; it stands in the profile alone.
   */
  readonly account?: { readonly managedAppleId: string; readonly mode: 'BYOD' | 'ADDE' };
  /** The device has another server's profile: ours must look like it to take its place. */
  readonly foreign?: ForeignProfile;
}

/** Of an enrolment profile that another server made, what a device compares when it gets one in its place. */
export interface ForeignProfile {
  readonly identifier: string;
  /** PayloadIdentifier of the MDM payload. */
  readonly mdmIdentifier: string;
  readonly serverUrl: string;
  /** Null where the server's address serves check-ins too. */
  readonly checkInUrl: string | null;
  readonly accessRights: number;
}

/**
 * The configuration profile that enrols a device: identity by SCEP or ACME first, MDM second (clients read by index), messages
 * signed (`Mdm-Signature`). No personal value: the subject is the enrolment's id.
 */
export function enrolmentProfile(input: EnrolmentProfile): Buffer {
  const identity = partUuid(input.id, input.identity.kind);
  const { foreign } = input;
  // A right can be left out of a profile that takes another's place, and never added.
  const rights = foreign === undefined ? ACCESS_RIGHTS : foreign.accessRights & ACCESS_RIGHTS;
  return writePlist({
    PayloadContent: [
      {
        ...identityPayload(input.identity, input.id),
        PayloadDisplayName: 'Device identity',
        PayloadIdentifier: `org.bartizan.${input.identity.kind}.${input.id}`,
        PayloadType: `com.apple.security.${input.identity.kind}`,
        PayloadUUID: identity,
        PayloadVersion: 1,
      },
      {
        // Under user enrolment the rights are fixed, and a profile that names some is refused.
        ...(input.account?.mode === 'BYOD' ? {} : { AccessRights: rights }),
        ...(input.account === undefined
          ? {}
          : { AssignedManagedAppleID: input.account.managedAppleId, EnrollmentMode: input.account.mode }),
        CheckInURL: foreign === undefined ? input.checkInUrl : (foreign.checkInUrl ?? undefined),
        CheckOutWhenRemoved: true,
        IdentityCertificateUUID: identity,
        ServerCapabilities: [
          'com.apple.mdm.per-user-connections',
          'com.apple.mdm.bootstraptoken',
          'com.apple.mdm.token',
        ],
        ServerURL: foreign?.serverUrl ?? input.serverUrl,
        SignMessage: true,
        Topic: input.topic,
        PayloadDisplayName: 'Device management',
        PayloadIdentifier: foreign?.mdmIdentifier ?? `org.bartizan.mdm.${input.id}`,
        PayloadType: 'com.apple.mdm',
        PayloadUUID: partUuid(input.id, 'mdm'),
        PayloadVersion: 1,
      },
    ],
    PayloadDisplayName: `${input.organisation} device management`,
    PayloadDescription: 'Lets your organisation manage this device. It cannot read your phone number.',
    PayloadIdentifier: foreign?.identifier ?? ENROLMENT_PROFILE,
    PayloadOrganization: input.organisation,
    PayloadScope: 'System',
    PayloadType: 'Configuration',
    PayloadUUID: input.id,
    PayloadVersion: 1,
  });
}

/** The settings of the identity payload. The subject is the enrolment's id whatever the device asks for. */
function identityPayload(identity: ProfileIdentity, id: string): { [key: string]: PlistInput } {
  const Subject = [[['CN', id]]];
  if (identity.kind === 'scep') {
    return {
      PayloadContent: {
        URL: identity.url,
        Name: 'Bartizan',
        Subject,
        Challenge: identity.challenge,
        Keysize: 2048,
        'Key Type': 'RSA',
        'Key Usage': 5,
        Retries: 3,
        RetryDelay: 5,
        CAFingerprint: identity.caFingerprint,
      },
    };
  }
  return {
    DirectoryURL: identity.directoryUrl,
    ClientIdentifier: identity.clientIdentifier,
    KeyType: 'ECSECPrimeRandom',
    KeySize: 384,
    // Apple attests only keys that cannot leave the Secure Enclave.
    HardwareBound: true,
    Attest: identity.attest,
    Subject,
    // digitalSignature: an ECDSA key encrypts nothing
    UsageFlags: 1,
    ExtendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
  };
}

/** A UUID made of an enrolment's and a part's name (RFC 9562, section 5.8): the same at every fetch of the profile. */
function partUuid(id: string, part: string): string {
  const bytes = sha256(`${id} ${part}`).subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
