import type { PhoneState } from './phone-state.ts';
import type { PlistDict } from './plist.ts';

/** What a phone calls itself in every message. */
export function whoIs(state: PhoneState): PlistDict {
  const { enrolment, udid } = state;
  return enrolment?.enrollmentId === undefined ? { UDID: udid } : { EnrollmentID: enrolment.enrollmentId };
}

/** The first check-in of an enrolment. */
export function authenticate(state: PhoneState): PlistDict {
  return {
    MessageType: 'Authenticate',
    Topic: state.enrolment!.topic,
    ...whoIs(state),
    // Under user enrolment nothing says which device it is.
    ...(state.enrolment!.enrollmentId === undefined
      ? { DeviceName: state.deviceName, SerialNumber: state.serial, IMEI: state.imei }
      : {}),
    Model: state.model,
    ModelName: state.modelName,
    ProductName: state.productName,
    OSVersion: state.osVersion,
    BuildVersion: state.buildVersion,
  };
}

/** Tells where the phone can be pushed, and how its passcode can be cleared. */
export function tokenUpdate(state: PhoneState): PlistDict {
  return {
    MessageType: 'TokenUpdate',
    Topic: state.enrolment!.topic,
    ...whoIs(state),
    PushMagic: state.pushMagic,
    Token: Buffer.from(state.pushToken, 'base64'),
    UnlockToken: Buffer.from(state.unlockToken, 'base64'),
    AwaitingConfiguration: state.awaitingConfiguration ?? false,
    NotOnConsole: false,
  };
}
