/** A property list value as XML property lists carry it. */
export type PlistValue = string | number | boolean | Date | Uint8Array | readonly PlistValue[] | PlistDict;
export interface PlistDict {
  readonly [key: string]: PlistValue | undefined;
}

const escapeXml = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function element(value: PlistValue): string {
  if (typeof value === 'string') return `<string>${escapeXml(value)}</string>`;
  if (typeof value === 'boolean') return value ? '<true/>' : '<false/>';
  if (typeof value === 'number')
    return Number.isInteger(value) ? `<integer>${value}</integer>` : `<real>${value}</real>`;
  if (value instanceof Date) return `<date>${value.toISOString().replace(/\.\d+Z$/, 'Z')}</date>`;
  if (value instanceof Uint8Array) return `<data>${Buffer.from(value).toString('base64')}</data>`;
  if (Array.isArray(value)) return `<array>${value.map((item: PlistValue) => element(item)).join('')}</array>`;
  const members = Object.entries(value as PlistDict)
    .filter((entry): entry is [string, PlistValue] => entry[1] !== undefined)
    .map(([key, item]) => `<key>${escapeXml(key)}</key>${element(item)}`);
  return `<dict>${members.join('')}</dict>`;
}

/** Writes an XML property list, UTF-8. Members that are undefined are left out. */
export function encodePlist(value: PlistValue): Buffer {
  const doctype =
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">';
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n${doctype}\n<plist version="1.0">${element(value)}</plist>\n`,
  );
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const unescapeXml = (text: string) =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? whole;
  });

/** One tag with the text before the next tag. */
interface Token {
  readonly name: string;
  readonly kind: 'open' | 'close' | 'empty';
  readonly text: string;
}

function* tokens(xml: string): Generator<Token> {
  const body = xml.replace(/<!--[\s\S]*?-->/g, '').replace(/<[?!][^>]*>/g, '');
  for (const [, slash, name, empty, text] of body.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>([^<]*)/g)) {
    yield { name: name!, kind: slash ? 'close' : empty ? 'empty' : 'open', text: text! };
  }
}

/** Reads an XML property list as a phone does. Throws SyntaxError if it is none. */
export function decodePlist(bytes: Uint8Array): PlistValue {
  const stream = tokens(Buffer.from(bytes).toString('utf8'));
  const next = (): Token => {
    const step = stream.next();
    if (step.done) throw new SyntaxError('the property list ends early');
    return step.value;
  };
  const close = (name: string): void => {
    const token = next();
    if (token.kind !== 'close' || token.name !== name) throw new SyntaxError(`expected </${name}>`);
  };
  const leaf = (token: Token): string => {
    if (token.kind === 'empty') return '';
    close(token.name);
    return unescapeXml(token.text);
  };
  const read = (token: Token): PlistValue => {
    if (token.kind === 'close') throw new SyntaxError(`unexpected </${token.name}>`);
    switch (token.name) {
      case 'string':
        return leaf(token);
      case 'integer':
      case 'real':
        return Number(leaf(token));
      case 'date':
        return new Date(leaf(token));
      case 'data':
        return Buffer.from(leaf(token), 'base64');
      case 'true':
      case 'false':
        if (token.kind === 'open') close(token.name);
        return token.name === 'true';
      case 'array':
        return readArray(token);
      case 'dict':
        return readDict(token);
      default:
        throw new SyntaxError(`unknown element <${token.name}>`);
    }
  };
  const readArray = (token: Token): PlistValue[] => {
    const items: PlistValue[] = [];
    if (token.kind === 'empty') return items;
    for (let item = next(); item.kind !== 'close'; item = next()) items.push(read(item));
    return items;
  };
  const readDict = (token: Token): PlistDict => {
    const members: [string, PlistValue][] = [];
    if (token.kind === 'empty') return {};
    for (let item = next(); item.kind !== 'close'; item = next()) {
      if (item.name !== 'key') throw new SyntaxError('expected <key>');
      const key = leaf(item);
      members.push([key, read(next())]);
    }
    return Object.fromEntries(members);
  };
  const root = next();
  if (root.name !== 'plist' || root.kind !== 'open') throw new SyntaxError('not a property list');
  return read(next());
}

/** The value as a dictionary. Throws SyntaxError for anything else. */
export function dict(value: PlistValue | undefined): PlistDict {
  if (value === undefined || typeof value !== 'object') throw new SyntaxError('expected a dictionary');
  if (Array.isArray(value) || value instanceof Date || value instanceof Uint8Array) {
    throw new SyntaxError('expected a dictionary');
  }
  return value as PlistDict;
}

/** The member as non-empty text. Throws SyntaxError. */
export function text(from: PlistDict, key: string): string {
  const value = from[key];
  if (typeof value !== 'string' || value === '') throw new SyntaxError(`${key} must be non-empty text`);
  return value;
}
