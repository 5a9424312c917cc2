import { parsePlist, writePlist } from '#wire';
import { pythonPlist } from './seeds.ts';
import { checkTexts, type Target } from './target.ts';
import { XML_WORDS } from './words.ts';

const FORBIDDEN = /[\p{Cc}\ufffe\uffff]/u;
const OPENSTEP = { Name: 'Zoë', Count: 3, Nested: { List: [1, 2.5, true, 'x'], Empty: {} }, Long: 'a'.repeat(300) };

/** The property list reader (src/wire/plist/read.ts): 1 MiB at most, as for command results. */
export function plistTarget(): Target {
  return {
    ...{ name: 'plist', form: 'xml', maxBytes: 1024 * 1024, words: XML_WORDS },
    seeds: [
      pythonPlist(OPENSTEP),
      writePlist({ ...OPENSTEP, Data: Buffer.alloc(64, 7), At: new Date(0), Big: 2n ** 63n, Minus: -5 }),
      writePlist([[], {}, '', '<&>', 0.5, false]),
      Buffer.from('<plist><string>&lt;&#x41;<![CDATA[<x>]]></string></plist>'),
      Buffer.from(
        "<?xml version='1.0' encoding='UTF-8'?><!-- a --><plist version='1.0'><true></true></plist><!-- b -->\n",
      ),
    ],
    parse: (input) => {
      const value = parsePlist(input);
      checkTexts(value);
      // Characters that XML forbids are read, because devices write them, but never written.
      if (FORBIDDEN.test(input.toString('utf8')) || /&#/.test(input.toString('latin1'))) return shape(value);
      const again = writePlist(value);
      if (again.length < 1024 * 1024) parsePlist(again);
      return shape(value);
    },
  };
}

function shape(value: unknown, depth = 0): string {
  if (value instanceof Map)
    return `d${depth < 3 ? [...new Set([...value.values()].map((one) => shape(one, depth + 1)))].sort().join('') : ''}`;
  if (Array.isArray(value))
    return `a${depth < 3 ? [...new Set(value.map((one) => shape(one, depth + 1)))].sort().join('') : ''}`;
  if (value instanceof Date) return 't';
  return value instanceof Uint8Array ? 'x' : (typeof value)[0]!;
}
