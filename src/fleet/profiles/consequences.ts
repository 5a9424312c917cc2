import { type DangerKind, dangersOfProfile, isDict, type Plist, type PlistDict, textAt } from '#wire';

/** What a payload can do to the holder of a device, in words of consequence. */
export interface Consequence {
  readonly type: string;
  readonly kind: DangerKind;
  readonly says: string;
}

const BY_TYPE: Readonly<Record<string, string>> = {
  'com.apple.mdm': 'hands the device’s management to another server: whoever runs it can erase and read the device',
  'com.apple.security.root':
    'installs a root certificate: whoever holds its key can read and change this device’s traffic',
  'com.apple.security.pem':
    'installs a certificate that the device then trusts: whoever holds its key may read and change this device’s traffic',
  'com.apple.security.pkcs1':
    'installs a certificate that the device then trusts: whoever holds its key may read and change this device’s traffic',
  'com.apple.security.certificatetransparency':
    'lets certificates pass that no public log has seen: a forged one would not be noticed',
  'com.apple.proxy.http.global':
    'sends all web traffic through a proxy: whoever runs it sees every address that is visited',
  'com.apple.dnsSettings.managed':
    'asks another server for every name: whoever runs it sees and can steer all connections',
  'com.apple.dnsProxy.managed': 'hands every name lookup to an app, which sees and can steer all connections',
  'com.apple.relay.managed': 'sends traffic through a relay: whoever runs it sees where the device connects',
  'com.apple.webcontent-filter': 'lets a filter see every page that is visited, and block it',
  'com.apple.apn.managed': 'changes how the device reaches the mobile network: its operator sees all traffic',
  'com.apple.cellular': 'changes how the device reaches the mobile network: its operator sees all traffic',
  'com.apple.app.lock': 'locks the device into one app: its holder can use nothing else',
};
const BY_KIND: Readonly<Record<DangerKind, string>> = {
  management: 'can hand the device’s management to somebody else',
  trust: 'changes whom the device trusts: forged servers may look genuine',
  traffic: 'leads the device’s traffic elsewhere: whoever runs that place can see it',
  'lock-in': 'locks its holder in',
  unknown: 'is of a kind that is not known here: nobody can say what it does',
  unreadable: 'cannot be read here: nobody can say what it does',
};

/** The dangers of a profile, one a payload, in words; two people must agree to a profile that has any. */
export function consequences(profile: PlistDict): Consequence[] {
  return dangersOfProfile(profile).map(({ type, kind }) => {
    const vpn = type.startsWith('com.apple.vpn.')
      ? 'sends the device’s traffic through a VPN: whoever runs it sees where the device connects'
      : undefined;
    return { type, kind, says: BY_TYPE[type] ?? vpn ?? BY_KIND[kind] };
  });
}

const SECRET = /pass(word|phrase|code)|secret|challenge|psk|privatekey|sharedkey/i;

/** Keys of a payload that hold a secret, at any depth. */
function secretsIn(value: Plist, key = '', depth = 0): string[] {
  if (depth > 12) return [];
  if (isDict(value)) return [...value].flatMap(([name, inner]) => secretsIn(inner, name, depth + 1));
  if (Array.isArray(value)) return value.flatMap((inner: Plist) => secretsIn(inner, key, depth + 1));
  const filled = typeof value === 'string' ? value !== '' : value instanceof Uint8Array && value.length > 0;
  return filled && SECRET.test(key) ? [key] : [];
}

/** What is worth a look although one person may install it, in words. */
export function remarks(profile: PlistDict): string[] {
  const found: string[] = [];
  if (profile.get('PayloadRemovalDisallowed') === true) found.push('the holder cannot remove it');
  const contents = profile.get('PayloadContent');
  for (const payload of Array.isArray(contents) ? contents : []) {
    if (!isDict(payload)) continue;
    const type = textAt(payload, 'PayloadType');
    for (const key of new Set(secretsIn(payload)))
      found.push(`holds a secret (${key.slice(0, 60)}) that whoever reads the database reads: prefer certificates`);
    if (type === 'com.apple.webClip.managed') {
      const host = hostOf(textAt(payload, 'URL'));
      found.push(`puts a link to ${host ?? 'an address that is not https'} on the home screen`);
    }
    if (type === 'com.apple.mobiledevice.passwordpolicy' && payload.get('forcePIN') === false)
      found.push('does not ask for a passcode');
    if (type === 'com.apple.profileRemovalPassword') found.push('asks for a password before it can be removed');
  }
  return found;
}

function hostOf(url: string | undefined): string | undefined {
  try {
    const parsed = new URL(url ?? '');
    return parsed.protocol === 'https:' ? parsed.host : undefined;
  } catch {
    return undefined;
  }
}
