/** One spelling of a value in bytes. */
export interface Encoded {
  readonly encoding: string;
  readonly bytes: Buffer;
}

/** The letters of base64 text that do not depend on what stands before and after the value. */
function base64At(bytes: Buffer, offset: 0 | 1 | 2, kind: 'base64' | 'base64url'): Buffer {
  const text = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString(kind)
    .replace(/=+$/, '');
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor(((offset + bytes.length) * 8) / 6);
  return Buffer.from(text.slice(first, last));
}

const hexEscape = (unit: string, upper: boolean) => {
  const hex = unit.charCodeAt(0).toString(16).padStart(4, '0');
  return `\\u${upper ? hex.toUpperCase() : hex}`;
};
const jsonEscaped = (value: string, upper: boolean) =>
  JSON.stringify(value)
    .slice(1, -1)
    .replace(/[\u0080-\uffff]/g, (unit) => hexEscape(unit, upper));

/**
 * The spellings under which a value can hide: UTF-8, UTF-16LE, base64 and base64url at all three alignments, hex,
 * URL-encoded (both forms of a space), JSON-escaped. Spellings equal to an earlier one are left out.
 */
export function encodings(value: string): Encoded[] {
  const bytes = Buffer.from(value, 'utf8');
  const url = encodeURIComponent(value);
  const all: Encoded[] = [
    { encoding: 'utf8', bytes },
    { encoding: 'utf16le', bytes: Buffer.from(value, 'utf16le') },
    ...([0, 1, 2] as const).flatMap((offset) => [
      { encoding: `base64+${offset}`, bytes: base64At(bytes, offset, 'base64') },
      { encoding: `base64url+${offset}`, bytes: base64At(bytes, offset, 'base64url') },
    ]),
    { encoding: 'hex', bytes: Buffer.from(bytes.toString('hex')) },
    { encoding: 'HEX', bytes: Buffer.from(bytes.toString('hex').toUpperCase()) },
    { encoding: 'url', bytes: Buffer.from(url) },
    { encoding: 'url-form', bytes: Buffer.from(url.replaceAll('%20', '+')) },
    { encoding: 'json', bytes: Buffer.from(jsonEscaped(value, false)) },
    { encoding: 'JSON', bytes: Buffer.from(jsonEscaped(value, true)) },
  ];
  return all.filter(({ bytes: one }, index) => !all.slice(0, index).some((other) => other.bytes.equals(one)));
}
