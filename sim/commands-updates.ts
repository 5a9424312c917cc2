import { done, failed, type Outcome } from './outcome.ts';
import type { PhoneState } from './phone-state.ts';
import { dict, type PlistDict } from './plist.ts';

/** A system update that the server scheduled by command. */
export interface Scheduled {
  readonly version: string;
  readonly action: string;
}

const KEY = 'iOSUpdate';

/** The commands of system updates, on a phone that could have `offered`. */
export function carryOutUpdate(
  state: PhoneState,
  scheduled: Scheduled | undefined,
  requestType: string,
  command: PlistDict,
): { readonly outcome: Outcome; readonly scheduled?: Scheduled } {
  const offered = `${Number(state.osVersion.split('.')[0]) + 1}.0`;
  if (requestType === 'AvailableOSUpdates') {
    const update = { ProductKey: `${KEY}${offered}`, HumanReadableName: `iOS ${offered}`, Version: offered };
    return { outcome: done({ AvailableOSUpdates: [update] }) };
  }
  if (requestType === 'OSUpdateStatus') {
    const status = { ProductKey: `${KEY}${scheduled?.version}`, IsDownloaded: false, Status: 'Downloading' };
    return { outcome: done({ OSUpdateStatus: scheduled === undefined ? [] : [status] }) };
  }
  const [first] = Array.isArray(command['Updates']) ? command['Updates'].map(dict) : [];
  if (first === undefined) return { outcome: failed(12021, 'No update is named.') };
  const action = String(first['InstallAction']);
  const version = typeof first['ProductVersion'] === 'string' ? first['ProductVersion'] : offered;
  const result = { ProductKey: `${KEY}${version}`, InstallAction: action, Status: 'Downloading' };
  return { outcome: done({ UpdateResults: [result] }), scheduled: { version, action } };
}
