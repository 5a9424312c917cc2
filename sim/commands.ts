import { randomBytes } from 'node:crypto';
import { carryOutMore } from './commands-more.ts';
import { done, failed, type Outcome } from './outcome.ts';
import { blank, type PhoneState } from './phone-state.ts';
import { dict, type PlistDict, type PlistValue } from './plist.ts';
import { describeProfile, openProfile } from './profile.ts';

/** AccessRights bits that commands need. */
export const RIGHTS = {
  inspectProfiles: 1,
  changeProfiles: 2,
  lock: 4,
  erase: 8,
  deviceInformation: 16,
  networkInformation: 32,
  securityInformation: 1024,
} as const;

const NEEDS: Readonly<Record<string, number>> = {
  ProfileList: RIGHTS.inspectProfiles,
  InstallProfile: RIGHTS.changeProfiles,
  RemoveProfile: RIGHTS.changeProfiles,
  DeviceLock: RIGHTS.lock,
  EraseDevice: RIGHTS.erase,
  DeviceInformation: RIGHTS.deviceInformation,
  SecurityInfo: RIGHTS.securityInformation,
  DeviceConfigured: RIGHTS.inspectProfiles,
  // Any server that manages the device may ask it to look at its declarations.
  DeclarativeManagement: 0,
};

function information(state: PhoneState, rights: number): Readonly<Record<string, PlistValue>> {
  const network: Record<string, PlistValue> =
    rights & RIGHTS.networkInformation
      ? {
          PhoneNumber: state.phoneNumber,
          WiFiMAC: '02:00:5e:10:00:00',
          BluetoothMAC: '02:00:5e:10:00:01',
          CurrentCarrierNetwork: 'Example Mobile',
        }
      : {};
  return {
    UDID: state.udid,
    SerialNumber: state.serial,
    DeviceName: state.deviceName,
    IMEI: state.imei,
    Model: state.model,
    ModelName: state.modelName,
    ProductName: state.productName,
    OSVersion: state.osVersion,
    BuildVersion: state.buildVersion,
    BatteryLevel: 0.83,
    DeviceCapacity: 128,
    AvailableDeviceCapacity: 71.5,
    IsSupervised: state.supervised === true,
    IsActivationLockEnabled: false,
    IsCloudBackupEnabled: false,
    ...network,
  };
}

function deviceInformation(state: PhoneState, rights: number, command: PlistDict): Outcome {
  const known = information(state, rights);
  const queries = Array.isArray(command['Queries']) ? command['Queries'].map(String) : Object.keys(known);
  const found = queries.filter((query) => known[query] !== undefined).map((query) => [query, known[query]!] as const);
  return done({ QueryResponses: Object.fromEntries(found) });
}

function installProfile(state: PhoneState, command: PlistDict): Outcome {
  if (!(command['Payload'] instanceof Uint8Array)) return failed(4001, 'The profile is missing.');
  try {
    const profile = describeProfile(openProfile(Buffer.from(command['Payload'])), true);
    if (profile.payloads.includes('com.apple.mdm')) return failed(4001, 'A management payload cannot be installed so.');
    state.profiles = [...state.profiles.filter((other) => other.identifier !== profile.identifier), profile];
    return done();
  } catch {
    return failed(1000, 'The profile is invalid.', 'MCProfileErrorDomain');
  }
}

function removeProfile(state: PhoneState, command: PlistDict): Outcome {
  const kept = state.profiles.filter((profile) => profile.identifier !== command['Identifier']);
  if (kept.length === state.profiles.length) return failed(12075, 'The profile is not installed.');
  const management = state.profiles.some((one) => !kept.includes(one) && one.payloads.includes('com.apple.mdm'));
  if (!management) {
    state.profiles = kept;
    return done();
  }
  // With the MDM payload goes all that is managed, once the server has the answer.
  return done({}, () => {
    state.profiles = kept.filter((one) => !one.managed);
    state.enrolment = null;
    state.identity = null;
  });
}

function profileList(state: PhoneState, command: PlistDict): Outcome {
  const managedOnly = command['ManagedOnly'] === true;
  const list = state.profiles
    .filter((profile) => profile.managed || !managedOnly)
    .map((profile) => ({
      PayloadIdentifier: profile.identifier,
      PayloadUUID: profile.uuid,
      PayloadDisplayName: profile.name,
      PayloadVersion: 1,
      IsManaged: profile.managed,
      HasRemovalPasscode: false,
      IsEncrypted: false,
      PayloadContent: profile.payloads.map((type) => ({ PayloadType: type, PayloadVersion: 1 })),
    }));
  return done({ ProfileList: list });
}

function lock(state: PhoneState, command: PlistDict): Outcome {
  state.lockedTimes += 1;
  state.lockMessage = typeof command['Message'] === 'string' ? command['Message'] : null;
  return done(state.lockMessage === null ? {} : { MessageResult: 'Success' });
}

function securityInformation(state: PhoneState): Outcome {
  return done({
    SecurityInfo: {
      HardwareEncryptionCaps: 3,
      PasscodePresent: state.passcodeSet,
      PasscodeCompliant: state.passcodeSet,
      PasscodeCompliantWithProfiles: state.passcodeSet,
      PasscodeLockGracePeriodEnforced: 0,
      ManagementStatus: { EnrolledViaDEP: false, IsUserEnrollment: false },
    },
  });
}

/** Carries out one command on the phone. Unknown ones and ones beyond the rights granted at enrolment are errors. */
export function carryOut(state: PhoneState, requestType: string, raw: PlistValue | undefined): Outcome {
  const command = dict(raw);
  const rights = state.enrolment?.accessRights ?? 0;
  const needed = NEEDS[requestType];
  if (needed === undefined) {
    return carryOutMore(state, requestType, command, rights) ?? failed(12021, `Unknown command: ${requestType}`);
  }
  if ((rights & needed) !== needed) return failed(12007, 'The server has no right to this command.');
  switch (requestType) {
    case 'DeviceInformation':
      return deviceInformation(state, rights, command);
    case 'SecurityInfo':
      return securityInformation(state);
    case 'ProfileList':
      return profileList(state, command);
    case 'InstallProfile':
      return installProfile(state, command);
    case 'RemoveProfile':
      return removeProfile(state, command);
    case 'DeclarativeManagement':
      return done();
    case 'DeviceLock':
      return lock(state, command);
    case 'DeviceConfigured':
      state.awaitingConfiguration = false;
      return done();
    case 'EraseDevice':
      return done({}, () => blank(state));
    default:
      return failed(12021, `Unknown command: ${requestType}`);
  }
}

/** Bytes that are no property list. */
export const garbage = () => Buffer.concat([Buffer.from('<?xml version="1.0"?><plist><dict><key>'), randomBytes(64)]);
