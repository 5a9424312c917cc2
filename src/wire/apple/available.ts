import type { TypedVerb } from './command-set.ts';

/** First versions of iOS and iPadOS, by Apple's published schema of commands; macOS and others are not judged. */
const SINCE: Readonly<Record<TypedVerb, string>> = {
  ...{ DeviceInformation: '4.0', SecurityInfo: '4.0', CertificateList: '4.0', ProfileList: '4.0' },
  ...{ ProvisioningProfileList: '4.0', InstalledApplicationList: '5.0', ManagedApplicationList: '5.0' },
  ...{ ManagedApplicationConfiguration: '7.0', ManagedApplicationAttributes: '7.0', ManagedApplicationFeedback: '7.0' },
  ...{ UserList: '9.3', AvailableOSUpdates: '9.0', OSUpdateStatus: '9.0', InstallProfile: '4.0', RemoveProfile: '4.0' },
  ...{ InstallApplication: '5.0', RemoveApplication: '5.0', ValidateApplications: '9.2', Settings: '5.0' },
  ...{ DeclarativeManagement: '15.0', DeviceConfigured: '9.0', ScheduleOSUpdate: '9.0', LogOutUser: '9.3' },
  ...{ PlayLostModeSound: '10.3', DeviceLock: '4.0', EnableLostMode: '9.3', DisableLostMode: '9.3' },
  ...{ ClearPasscode: '4.0', RestartDevice: '10.3', ShutDownDevice: '10.3', DeviceLocation: '9.3' },
  ...{ EraseDevice: '4.0', DeleteUser: '9.3' },
};

/** Arguments that came later than their command, and would be passed over in silence by an older system. */
const ARGUMENT_SINCE: Readonly<Record<string, string>> = { 'EraseDevice.ReturnToService': '17.0' };

/** The first version that does what is asked for; undefined for a verb that is not in the set. */
export function availableSince(verb: string, args: Readonly<Record<string, unknown>> = {}): string | undefined {
  if (!Object.hasOwn(SINCE, verb)) return undefined;
  let since = SINCE[verb as TypedVerb];
  for (const name of Object.keys(args)) {
    const later = ARGUMENT_SINCE[`${verb}.${name}`];
    if (later !== undefined) since = later;
  }
  return since;
}
