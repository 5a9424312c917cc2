import { isDict, type Plist, parsePlist, textAt, WireError } from '#wire';
import { FleetError } from './error.ts';

/** Payloads that could hand a device to somebody else. They wait for the four-eyes diff of a later version. */
const DANGEROUS = [
  'com.apple.mdm',
  'com.apple.security.root',
  'com.apple.security.pkcs1',
  'com.apple.security.pem',
  'com.apple.vpn.managed',
  'com.apple.vpn.managed.applayer',
  'com.apple.proxy.http.global',
  'com.apple.dnsSettings.managed',
  'com.apple.relay.managed',
  'com.apple.webcontent-filter',
  'com.apple.declarations',
];

/**
 * Checks a configuration profile before it is sent: a readable property list, an identifier and UUID on every level,
 * and no payload that could redirect traffic or management. Throws FleetError.
 */
export function checkProfile(payload: Uint8Array): { identifier: string } {
  let profile: Plist;
  try {
    profile = parsePlist(payload, { maxBytes: 512 * 1024 });
  } catch (cause) {
    const why = cause instanceof WireError ? cause.message : 'The profile cannot be read.';
    throw new FleetError('bad-request', why, { cause });
  }
  if (!isDict(profile) || textAt(profile, 'PayloadType') !== 'Configuration') {
    throw new FleetError('bad-request', 'The profile is not a configuration profile (PayloadType Configuration).');
  }
  const identifier = textAt(profile, 'PayloadIdentifier');
  const contents = profile.get('PayloadContent');
  if (identifier === undefined || textAt(profile, 'PayloadUUID') === undefined || !Array.isArray(contents)) {
    throw new FleetError('bad-request', 'The profile lacks PayloadIdentifier, PayloadUUID or PayloadContent.');
  }
  for (const item of contents as readonly Plist[]) {
    const type = isDict(item) ? textAt(item, 'PayloadType') : undefined;
    if (type === undefined) throw new FleetError('bad-request', 'A payload of the profile has no PayloadType.');
    if (DANGEROUS.includes(type)) {
      throw new FleetError(
        'dangerous-profile',
        `A payload of type ${type} can redirect a device and is not sent by this version.`,
      );
    }
  }
  return { identifier };
}
