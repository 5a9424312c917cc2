import { Sealed } from '#base';
import type { Plist, PlistDict } from '../plist/value.ts';

/** What a message may say of a person, or the secrets of a device. They leave the parser sealed or not at all. */
const PERSONAL_FIELDS = ['device-name', 'location', 'unlock-token', 'bootstrap-token'] as const;
export type PersonalField = (typeof PERSONAL_FIELDS)[number];
export type Personal = ReadonlyMap<PersonalField, Sealed<string>>;

const PERSONAL: Readonly<Record<string, PersonalField>> = {
  DeviceName: 'device-name',
  UnlockToken: 'unlock-token',
  BootstrapToken: 'bootstrap-token',
};

/** Most UTF-8 bytes of each that a sealed row holds. Tokens are kept in base64. */
const MOST: Readonly<Record<PersonalField, number>> = {
  'device-name': 126,
  location: 126,
  'unlock-token': 6142,
  'bootstrap-token': 6142,
};

/**
 * Takes the personal values out of a message. Names too long for a sealed row are cut, tokens left out, which `cut`
 * reports.
 */
export function takePersonal(dict: PlistDict): { personal: Personal; cut: boolean } {
  const personal = new Map<PersonalField, Sealed<string>>();
  let cut = false;
  for (const [key, field] of Object.entries(PERSONAL)) {
    const value = dict.get(key);
    const text = value === undefined ? undefined : asText(value);
    if (text === undefined || text === '') continue;
    if (Buffer.byteLength(text) <= MOST[field]) personal.set(field, new Sealed(text));
    else {
      cut = true;
      if (field === 'device-name') personal.set(field, new Sealed(shorten(text, MOST[field])));
    }
  }
  return { personal, cut };
}

function asText(value: Plist): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : undefined;
}

function shorten(text: string, most: number): string {
  let out = text;
  while (Buffer.byteLength(out) > most) out = out.slice(0, -1);
  return out.toWellFormed();
}
