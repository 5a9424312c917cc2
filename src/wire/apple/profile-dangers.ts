import { parseSigned } from '../cms/signed.ts';
import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type Plist, type PlistDict, textAt } from '../plist/value.ts';

const DANGERS = ['management', 'trust', 'traffic', 'lock-in', 'unknown', 'unreadable'] as const;
/**
 * How a payload can turn a device against its holder: hand its management over, make it trust another authority, lead
 * its traffic elsewhere, lock its holder in; or we do not know the payload, or cannot read it.
 */
export type DangerKind = (typeof DANGERS)[number];

export interface Danger {
  /** The payload's type; empty if it could not be read. */
  readonly type: string;
  readonly kind: DangerKind;
}

const KNOWN: Readonly<Record<string, DangerKind>> = {
  'com.apple.mdm': 'management',
  'com.apple.declarations': 'management',
  'com.apple.declarationconfiguration': 'management',
  'com.apple.security.root': 'trust',
  'com.apple.security.pkcs1': 'trust',
  'com.apple.security.pem': 'trust',
  'com.apple.security.certificatetransparency': 'trust',
  'com.apple.security.certificaterevocation': 'trust',
  'com.apple.proxy.http.global': 'traffic',
  'com.apple.dnsSettings.managed': 'traffic',
  'com.apple.dnsProxy.managed': 'traffic',
  'com.apple.relay.managed': 'traffic',
  'com.apple.webcontent-filter': 'traffic',
  'com.apple.apn.managed': 'traffic',
  'com.apple.cellular': 'traffic',
  'com.apple.extensiblesso': 'traffic',
  'com.apple.airplay.security': 'traffic',
  // an account's server reads the holder's mail and contacts; an Exchange one can erase the phone
  'com.apple.mail.managed': 'traffic',
  'com.apple.eas.account': 'traffic',
  'com.apple.caldav.account': 'traffic',
  'com.apple.carddav.account': 'traffic',
  'com.apple.ldap.account': 'traffic',
  'com.apple.subscribedcalendar.account': 'traffic',
  'com.apple.jabber.account': 'traffic',
  'com.apple.app.lock': 'lock-in',
};

/** Payloads that cannot do any of that, whatever they hold. Wi-Fi is judged by what it holds. */
const HARMLESS = new Set([
  ...['com.apple.mobiledevice.passwordpolicy', 'com.apple.applicationaccess', 'com.apple.webClip.managed'],
  ...['com.apple.wifi.managed', 'com.apple.homescreenlayout', 'com.apple.notificationsettings', 'com.apple.font'],
  ...['com.apple.shareddeviceconfiguration', 'com.apple.airprint', 'com.apple.airplay', 'com.apple.domains'],
  ...['com.apple.networkusagerules', 'com.apple.tvremote', 'com.apple.education', 'com.apple.google-oauth'],
  ...[
    'com.apple.security.scep',
    'com.apple.security.acme',
    'com.apple.security.pkcs12',
    'com.apple.profileRemovalPassword',
  ],
  ...['com.apple.conferenceroomdisplay', 'com.apple.lomsettings', 'com.apple.configurationprofile.identification'],
]);

/** Proxy settings inside a Wi-Fi payload. */
const PROXY_KEYS = ['ProxyServer', 'ProxyPACURL'];

/**
 * The dangers of a configuration profile, one a payload; empty for one that a single administrator may install. Takes
 * the bytes that a device gets: an XML property list, or one inside CMS. What cannot be read is dangerous. A management payload that leads to one of `origins`, the device plane's own, is none.
 */
export function dangersOf(profile: Uint8Array, origins: readonly string[] = []): readonly Danger[] {
  let root: Plist;
  try {
    root = parsePlist(contentOf(profile), { maxBytes: 1024 * 1024 });
  } catch (error) {
    if (error instanceof WireError) return [{ type: '', kind: 'unreadable' }];
    throw error;
  }
  if (!isDict(root)) return [{ type: '', kind: 'unreadable' }];
  return dangersOfProfile(root, origins);
}

/** As `dangersOf`, for a profile that was read already. */
export function dangersOfProfile(profile: PlistDict, origins: readonly string[] = []): readonly Danger[] {
  const contents = profile.get('PayloadContent');
  // An encrypted profile says nothing of what it does (EncryptedPayloadContent).
  if (profile.has('EncryptedPayloadContent') || !Array.isArray(contents)) return [{ type: '', kind: 'unreadable' }];
  return (contents as readonly Plist[]).flatMap((payload) => dangerOf(payload, origins) ?? []);
}

function dangerOf(payload: Plist, origins: readonly string[]): Danger | undefined {
  if (!isDict(payload)) return { type: '', kind: 'unreadable' };
  const type = textAt(payload, 'PayloadType') ?? '';
  if (type === 'com.apple.mdm' && origins.some((origin) => leadsTo(payload, origin))) return undefined;
  const kind = KNOWN[type] ?? (type.startsWith('com.apple.vpn.') ? 'traffic' : undefined);
  if (kind !== undefined) return { type, kind };
  if (!HARMLESS.has(type)) return { type: /^[A-Za-z0-9._-]{1,128}$/.test(type) ? type : '', kind: 'unknown' };
  if (type !== 'com.apple.wifi.managed') return undefined;
  const proxy = textAt(payload, 'ProxyType');
  if (proxy !== undefined && proxy !== 'None') return { type, kind: 'traffic' };
  return PROXY_KEYS.some((key) => payload.has(key)) ? { type, kind: 'traffic' } : undefined;
}

/** Whether a management payload is ours: renewing an identity sends the enrolment profile again. */
function leadsTo(payload: PlistDict, origin: string): boolean {
  const server = textAt(payload, 'ServerURL');
  const checkIn = payload.has('CheckInURL') ? textAt(payload, 'CheckInURL') : server;
  return [server, checkIn].every((url) => url !== undefined && originOf(url) === origin);
}

function originOf(url: string): string | undefined {
  try {
    return new URL(url).origin;
  } catch {
    return undefined;
  }
}

/** The profile inside a signed one; what is not CMS is the profile itself. */
function contentOf(profile: Uint8Array): Uint8Array {
  if (profile[0] !== 0x30) return profile;
  return parseSigned(profile).content ?? new Uint8Array();
}
