import { Sealed } from '#base';
import type { Plist, PlistDict } from '../plist/value.ts';

/** Keys that can carry a person's name or number, or a secret of the device. They leave the parser sealed or not at all. */
const PERSONAL: Record<string, 'device-name' | 'unlock-token' | 'drop'> = {
  DeviceName: 'device-name',
  UnlockToken: 'unlock-token',
  PhoneNumber: 'drop',
  ServiceSubscriptions: 'drop',
  ICCID: 'drop',
  UserLongName: 'drop',
  UserShortName: 'drop',
  UserID: 'drop',
  iTunesStoreAccountHash: 'drop',
  OrganizationInfo: 'drop',
};

export type PersonalField = 'device-name' | 'unlock-token';
export type Personal = ReadonlyMap<PersonalField, Sealed<string>>;

/** Values of at most this many UTF-8 bytes fit a sealed row. */
const MAX_BYTES = 126;

/**
 * Takes the personal values out of a message. Values too long for a sealed row are cut (names) or left out (tokens),
 * which `cut` reports.
 */
export function takePersonal(dict: PlistDict): { personal: Personal; cut: boolean } {
  const personal = new Map<PersonalField, Sealed<string>>();
  let cut = false;
  for (const [key, field] of Object.entries(PERSONAL)) {
    const value = dict.get(key);
    if (value === undefined || field === 'drop') continue;
    const text = asText(value);
    if (text === undefined || text === '') continue;
    if (Buffer.byteLength(text) <= MAX_BYTES) personal.set(field, new Sealed(text));
    else {
      cut = true;
      if (field === 'device-name') personal.set(field, new Sealed(shorten(text)));
    }
  }
  return { personal, cut };
}

function asText(value: Plist): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : undefined;
}

function shorten(text: string): string {
  let out = text;
  while (Buffer.byteLength(out) > MAX_BYTES) out = out.slice(0, -1);
  return out.toWellFormed();
}
