import type { PlistInput } from './value.ts';

const HEAD = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`;

/** Writes an XML property list. Throws TypeError for numbers that are not finite and texts that XML cannot carry. */
export function writePlist(value: PlistInput): Buffer {
  return Buffer.from(`${HEAD}${render(value)}\n</plist>\n`, 'utf8');
}

function render(value: PlistInput): string {
  if (typeof value === 'string') return `<string>${escaped(value)}</string>`;
  if (typeof value === 'boolean') return value ? '<true/>' : '<false/>';
  if (typeof value === 'bigint') return `<integer>${value}</integer>`;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a property list takes finite numbers only');
    return Number.isSafeInteger(value) ? `<integer>${value}</integer>` : `<real>${value}</real>`;
  }
  if (value instanceof Date) return `<date>${value.toISOString().replace(/\.\d+Z$/, 'Z')}</date>`;
  if (value instanceof Uint8Array) return `<data>${Buffer.from(value).toString('base64')}</data>`;
  if (Array.isArray(value)) return `<array>${value.map((item: PlistInput) => render(item)).join('')}</array>`;
  const entries = value instanceof Map ? [...value] : Object.entries(value as Record<string, PlistInput | undefined>);
  const members = entries
    .filter((entry): entry is [string, PlistInput] => entry[1] !== undefined)
    .map(([key, item]) => `<key>${escaped(key)}</key>${render(item)}`);
  return `<dict>${members.join('')}</dict>`;
}

function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these have no place in XML 1.0
  if (!text.isWellFormed() || /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text)) {
    throw new TypeError('a text has characters that a property list cannot carry');
  }
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;');
}
