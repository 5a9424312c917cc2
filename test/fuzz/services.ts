import { parseAdePage, parseReleases, WireError } from '#wire';
import { Broken, checkTexts, type Target } from './target.ts';
import { JSON_WORDS } from './words.ts';

const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const words = (...fragments: string[]) => [...JSON_WORDS, ...fragments.map((one) => Buffer.from(one))];

/** Answers may be longer, but more than this only tries the runtime's own JSON. */
const MAX_BYTES = 256 * 1024;

const DEVICE = {
  ...{ serial_number: 'F2LXK0AA0001', model: 'iPhone 15', description: 'IPHONE 15 BLACK 128GB', color: 'BLACK' },
  ...{ os: 'iOS', device_family: 'iPhone', profile_status: 'assigned', profile_uuid: '5e3f9a1c' },
  ...{ op_type: 'modified', op_date: '2026-10-01T08:00:00Z' },
};

/** Pages of Apple's device assignment service. Their texts and times go into tables as they are. */
export function adePageTarget(): Target {
  return {
    ...{ name: 'ade-page', form: 'json', maxBytes: MAX_BYTES },
    words: words('"cursor":"c"', '"devices":[', '"serial_number":"A1"', '"op_date":"-271821-04-20T00:00:00Z"'),
    seeds: [
      text({ cursor: 'MDowOjE', more_to_follow: false, devices: [DEVICE, { ...DEVICE, op_type: 'deleted' }] }),
      text({ cursor: '', more_to_follow: true, devices: [{ serial_number: 'A1' }, null, 7, {}] }),
      // what a table does not take: U+0000, half a character, a time before all calendars
      text({
        cursor: 'x',
        devices: [{ ...DEVICE, description: 'a\0b', color: '\ud800', op_date: '-271821-04-20T00:00:00Z' }],
      }),
      text({ cursor: 'x' }),
    ],
    parse: (input) => {
      let value: unknown;
      try {
        value = JSON.parse(input.toString('utf8'));
      } catch {
        throw new WireError('ade', 'not JSON: refused before it is a page');
      }
      const page = parseAdePage(value);
      checkTexts(page);
      if (page.devices.some(({ opAt }) => !(opAt >= 0 && opAt < 1e13))) throw new Broken('a time that no table takes');
      const forms = page.devices.map(({ op, opAt, model }) => `${op} ${opAt === 0} ${model === null}`);
      return [...new Set(forms)].sort().join();
    },
  };
}

/** Apple's list of signed system versions. */
export function releasesTarget(): Target {
  const entry = (version: string, models: readonly string[]) => ({
    ...{ ProductVersion: version, Build: '22B83', PostingDate: '2026-10-28', ExpirationDate: '2027-02-01' },
    SupportedDevices: models,
  });
  const iOS = [entry('18.1', ['iPhone15,4', 'iPad14,1']), entry('18.0.1', ['iPhone12,1', 'Watch7,1'])];
  return {
    ...{ name: 'releases', form: 'json', maxBytes: MAX_BYTES },
    words: words('"PublicAssetSets":{', '"iOS":[', '"ProductVersion":"18.1"', '"SupportedDevices":["iPhone15,4"]'),
    seeds: [
      text({ PublicAssetSets: { iOS, macOS: [] } }),
      text({ PublicAssetSets: { iOS: [...iOS, entry('17.7', [])] } }),
    ],
    parse: (input) => {
      const releases = parseReleases(input);
      checkTexts(releases);
      if (releases.some(({ models }) => models.length === 0)) throw new Broken('a version for no model');
      const forms = releases.map(({ expires, models }) => `${expires === null} ${Math.min(models.length, 3)}`);
      return [...new Set(forms)].sort().join();
    },
  };
}
