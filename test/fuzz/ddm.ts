import { parseEndpoint } from '../../src/wire/ddm/protocol.ts';
import { parseStatusReport } from '../../src/wire/ddm/status.ts';
import { checkTexts, type Target } from './target.ts';
import { JSON_WORDS } from './words.ts';

const STATUS = {
  FullReport: true,
  Errors: [{ StatusItem: 'device.model.family', Reasons: [{ Code: 'Info.NotSupported', Description: 'no' }] }],
  StatusItems: {
    device: {
      ...{
        identifier: { 'serial-number': 'F2LXK0AA0001', udid: '00008120-000A1B2C3D4E5F60' },
        power: { 'battery-health': 'normal' },
      },
      model: { family: 'iPhone', identifier: 'iPhone15,4', number: 'MTP03' },
      'operating-system': { family: 'iOS', version: '18.1', 'build-version': '22B83' },
    },
    passcode: { 'is-compliant': true, 'is-present': true },
    softwareupdate: { 'install-state': 'none', 'pending-version': { 'os-version': '18.2' } },
    'mdm.app': [
      { identifier: 'com.example.mail', state: 'managed', name: 'Mail' },
      { identifier: 'x', _removed: true },
    ],
    management: {
      declarations: {
        activations: [{ identifier: 'a.b', 'server-token': 'abc', active: true, valid: 'valid' }],
        configurations: [
          { identifier: 'c.d', 'server-token': 'x', active: false, valid: 'invalid', reasons: [{ code: 'Error.X' }] },
        ],
        ...{ assets: [], management: [] },
      },
    },
  },
};

/** Status reports and endpoints of declarative management; they come inside of check-ins. */
export function ddmTarget(): Target {
  const text = (value: unknown) => Buffer.from(JSON.stringify(value));
  return {
    ...{ name: 'ddm-status', form: 'json', maxBytes: 256 * 1024, words: JSON_WORDS },
    seeds: [
      text(STATUS),
      text({ StatusItems: {}, Errors: [] }),
      text({ ...STATUS, FullReport: false }),
      Buffer.from('declaration/asset/a.b'),
      // members without a name, as deep as a message may be
      Buffer.from(`{"StatusItems":${'{"":'.repeat(40_000)}1${'}'.repeat(40_000)}}`),
    ],
    parse: (input) => {
      const ask = parseEndpoint(input.toString('latin1'));
      const { values, lists, declarations, errors, dropped } = parseStatusReport(input);
      checkTexts([values, lists, declarations, errors]);
      JSON.stringify(declarations);
      return `${ask?.ask} ${Object.keys(values).length} ${Object.keys(lists)} ${declarations?.length} ${errors.length} ${Math.sign(dropped)}`;
    },
  };
}
