/** What of a status item is kept. Whatever is not named here is dropped at the door: it may be somebody's name. */
export type Keep =
  | { readonly is: 'text' | 'flag' | 'number' }
  | { readonly is: 'texts' }
  | { readonly is: 'object'; readonly keys: Readonly<Record<string, Keep>> };

const text: Keep = { is: 'text' };
const flag: Keep = { is: 'flag' };
const number: Keep = { is: 'number' };
const texts: Keep = { is: 'texts' };
const object = (keys: Readonly<Record<string, Keep>>): Keep => ({ is: 'object', keys });

/** Items with one value. `device.identifier.*` is left out: we know it, and it is nobody else's business. */
export const VALUES: Readonly<Record<string, Keep>> = {
  'device.model.family': text,
  'device.model.identifier': text,
  'device.model.marketing-name': text,
  'device.model.number': text,
  'device.operating-system.build-version': text,
  'device.operating-system.family': text,
  'device.operating-system.marketing-name': text,
  'device.operating-system.supplemental.build-version': text,
  'device.operating-system.supplemental.extra-version': text,
  'device.operating-system.version': text,
  'device.power.battery-health': text,
  'management.client-capabilities': object({
    'supported-versions': texts,
    'supported-payloads': object({
      declarations: object({ activations: texts, assets: texts, configurations: texts, management: texts }),
      'status-items': texts,
    }),
  }),
  'mdm.enrollment-type': text,
  'mdm.is-awaiting-configuration': flag,
  'passcode.is-compliant': flag,
  'passcode.is-present': flag,
  'security.lockdown-mode': flag,
  'softwareupdate.beta-enrollment': text,
  'softwareupdate.device-id': text,
  'softwareupdate.failure-reason': object({ count: number, reason: text, timestamp: text }),
  'softwareupdate.install-reason': object({ reason: texts, 'declaration-id': text }),
  'softwareupdate.install-state': text,
  'softwareupdate.pending-version': object({ 'os-version': text, 'build-version': text }),
};

/**
 * Items that are lists of objects with an `identifier`. App names are left out because they are localised, certificates'
 * subjects and contents because they name people. Account lists are left out altogether: user names and e-mail addresses.
 */
export const LISTS: Readonly<Record<string, Readonly<Record<string, Keep>>>> = {
  'app.managed.list': {
    'declaration-identifier': text,
    'external-version-id': number,
    version: text,
    'short-version': text,
    state: text,
    'update-state': text,
  },
  'mdm.app': { 'external-version-id': text, version: text, 'short-version': text, state: text },
  'security.certificate.list': { 'declaration-identifier': text, 'is-identity': flag },
};

export const DECLARATIONS = 'management.declarations';

/** Everything that we ask devices to report; `management.client-capabilities` comes unasked. */
export const SUBSCRIBED: readonly string[] = [
  ...Object.keys(VALUES).filter((path) => path !== 'management.client-capabilities'),
  ...Object.keys(LISTS),
  DECLARATIONS,
].sort();
