import type { Facts } from './ddm.ts';
import type { PhoneState } from './phone-state.ts';

/** What a simulated phone could report about itself. Accounts are in it so that tests can see whether they are asked for or kept. */
export function factsOf(state: PhoneState, more: Facts = {}): Facts {
  return {
    'device.identifier.serial-number': state.serial,
    'device.identifier.udid': state.udid,
    'device.model.family': state.modelName,
    'device.model.identifier': state.productName,
    'device.model.marketing-name': state.modelName,
    'device.model.number': state.model,
    'device.operating-system.build-version': state.buildVersion,
    'device.operating-system.family': state.modelName === 'iPad' ? 'iPadOS' : 'iOS',
    'device.operating-system.version': state.osVersion,
    'device.power.battery-health': 'normal',
    'mdm.app': [],
    'app.managed.list': [],
    'passcode.is-compliant': state.passcodeSet,
    'passcode.is-present': state.passcodeSet,
    'softwareupdate.device-id': `${state.model}AP`,
    'softwareupdate.failure-reason': { count: 0 },
    'softwareupdate.install-reason': { reason: [] },
    'softwareupdate.install-state': 'none',
    'softwareupdate.pending-version': { 'os-version': '', 'build-version': '' },
    'account.list.mail.incoming': [
      { identifier: 'account-1', 'visible-name': state.deviceName, username: `${state.phoneNumber}@example.org` },
    ],
    ...more,
  };
}
