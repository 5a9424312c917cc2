import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface IpaOptions {
  readonly identifier?: string;
  readonly name?: string;
  readonly version?: string;
  readonly build?: string;
  /** Bytes of a file beside the app's Info.plist that does not compress. */
  readonly bytes?: number;
  /** Info.plist in XML; binary, as Xcode writes it, if it is left out. */
  readonly xml?: boolean;
  readonly platforms?: readonly string[];
  /** More entries: name and content. */
  readonly more?: Readonly<Record<string, string>>;
  /** Where Info.plist is. */
  readonly info?: string;
  readonly comment?: string;
}

const SCRIPT = `
import json, os, plistlib, sys, zipfile
o = json.loads(sys.argv[2])
info = {'CFBundleIdentifier': o.get('identifier', 'org.example.field'), 'CFBundleName': o.get('name', 'Field notes'),
  'CFBundleShortVersionString': o.get('version', '1.2'), 'CFBundleVersion': o.get('build', '345'), 'MinimumOSVersion': '16.0',
  'CFBundleSupportedPlatforms': o.get('platforms', ['iPhoneOS']), 'UIDeviceFamily': [1, 2], 'LSRequiresIPhoneOS': True,
  'CFBundleIcons': {'CFBundlePrimaryIcon': {'CFBundleIconFiles': ['AppIcon60x60'] * 20}}, 'Ünïcode': 'ключ'}
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
  z.writestr('Payload/', '')
  z.writestr(o.get('info', 'Payload/Field.app/Info.plist'), plistlib.dumps(info, fmt=plistlib.FMT_XML if o.get('xml') else plistlib.FMT_BINARY))
  z.writestr('Payload/Field.app/Frameworks/Kit.framework/Info.plist', plistlib.dumps({'CFBundleIdentifier': 'org.example.kit'}))
  z.writestr('Payload/Field.app/Field', os.urandom(o.get('bytes', 1000)))
  for name, content in o.get('more', {}).items(): z.writestr(name, content)
  z.comment = o.get('comment', '').encode()
`;

/** An app package as Python's zipfile and plistlib write one: neither shares a line with ours. */
export function makeIpa(options: IpaOptions = {}): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'btz-ipa-'));
  try {
    const file = join(dir, 'app.ipa');
    execFileSync('python3', ['-c', SCRIPT, file, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit'] });
    return readFileSync(file);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
