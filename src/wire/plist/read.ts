import { WireError } from '../error.ts';
import type { Plist } from './value.ts';

export interface PlistLimits {
  /** Bytes of the document; default 1 MiB. */
  readonly maxBytes?: number;
  /** Nesting; default 32. */
  readonly maxDepth?: number;
  /** Elements; default 50 000. */
  readonly maxElements?: number;
}

/**
 * Parses an XML property list as devices send it. Strict where it matters: UTF-8, one root, known elements only, no
 * entities beyond XML's own five and character references, no processing of a DOCTYPE. Throws WireError `plist`.
 */
export function parsePlist(bytes: Uint8Array, limits: PlistLimits = {}): Plist {
  if (bytes.length > (limits.maxBytes ?? 1024 * 1024)) bad('it is too large');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bad('it is not UTF-8');
  }
  // XML has no U+0000, and no table could store it.
  if (text.includes('\0')) bad('it holds U+0000');
  return new Parser(text, limits.maxDepth ?? 32, limits.maxElements ?? 50_000).document();
}

function bad(what: string): never {
  throw new WireError('plist', `The property list cannot be read: ${what}.`);
}

const TAG = /<(\/?)([a-zA-Z]+)((?:\s+[a-zA-Z:_-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const DOCTYPE = /<!DOCTYPE\s+plist(?:\s+(?:PUBLIC|SYSTEM|"[^"<>]*"|'[^'<>]*'))*\s*>/y;

interface Tag {
  readonly name: string;
  readonly close: boolean;
  readonly empty: boolean;
}

class Parser {
  #at = 0;
  #elements = 0;
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #maxElements: number;

  constructor(text: string, maxDepth: number, maxElements: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#maxElements = maxElements;
  }

  document(): Plist {
    if (this.#text.startsWith('<?xml')) {
      const end = this.#text.indexOf('?>');
      if (end < 0) bad('its XML declaration does not end');
      if (/encoding\s*=\s*["'](?!utf-?8["'])/i.test(this.#text.slice(0, end))) bad('it is not UTF-8');
      this.#at = end + 2;
    }
    this.#skip();
    DOCTYPE.lastIndex = this.#at;
    const doctype = DOCTYPE.exec(this.#text);
    if (doctype !== null) this.#at += doctype[0].length;
    this.#skip();
    const root = this.#tag();
    if (root.name !== 'plist' || root.close || root.empty) bad('its root is not plist');
    const value = this.#value(this.#open(), 1);
    this.#expectClose('plist');
    this.#skip();
    if (this.#at !== this.#text.length) bad('something follows its end');
    return value;
  }

  /** White space and comments between elements. */
  #skip(): void {
    for (;;) {
      while (/\s/.test(this.#text.charAt(this.#at)) && this.#at < this.#text.length) this.#at += 1;
      if (!this.#text.startsWith('<!--', this.#at)) return;
      const end = this.#text.indexOf('-->', this.#at + 4);
      if (end < 0) bad('a comment does not end');
      this.#at = end + 3;
    }
  }

  #tag(): Tag {
    TAG.lastIndex = this.#at;
    const match = TAG.exec(this.#text);
    if (match === null) bad('an element is malformed');
    this.#at += match[0].length;
    return { name: match[2]!, close: match[1] === '/', empty: match[4] === '/' };
  }

  #open(): Tag {
    this.#skip();
    const tag = this.#tag();
    if (tag.close) bad('a value is missing');
    return tag;
  }

  #expectClose(name: string): void {
    this.#skip();
    const tag = this.#tag();
    if (!tag.close || tag.name !== name) bad('elements are not closed in order');
  }

  #value(tag: Tag, depth: number): Plist {
    this.#elements += 1;
    if (this.#elements > this.#maxElements) bad('it has too many elements');
    if (depth > this.#maxDepth) bad('it is nested too deeply');
    switch (tag.name) {
      case 'dict':
        return this.#dict(tag, depth);
      case 'array':
        return this.#array(tag, depth);
      case 'true':
      case 'false':
        if (!tag.empty && this.#content(tag) !== '') bad('a boolean has contents');
        return tag.name === 'true';
      case 'string':
        return this.#content(tag);
      case 'integer':
        return integer(this.#content(tag).trim());
      case 'real':
        return real(this.#content(tag).trim());
      case 'date':
        return date(this.#content(tag).trim());
      case 'data':
        return data(this.#content(tag));
      default:
        return bad('it has an unknown element');
    }
  }

  #dict(tag: Tag, depth: number): Map<string, Plist> {
    const dict = new Map<string, Plist>();
    if (tag.empty) return dict;
    for (;;) {
      this.#skip();
      const next = this.#tag();
      if (next.close) {
        if (next.name !== 'dict') bad('elements are not closed in order');
        return dict;
      }
      if (next.name !== 'key') bad('a dictionary lacks a key');
      const key = this.#content(next);
      if (dict.has(key)) bad('a key stands twice');
      dict.set(key, this.#value(this.#open(), depth + 1));
    }
  }

  #array(tag: Tag, depth: number): Plist[] {
    const items: Plist[] = [];
    if (tag.empty) return items;
    for (;;) {
      this.#skip();
      const next = this.#tag();
      if (next.close) {
        if (next.name !== 'array') bad('elements are not closed in order');
        return items;
      }
      items.push(this.#value(next, depth + 1));
    }
  }

  #content(tag: Tag): string {
    if (tag.empty) return '';
    let out = '';
    for (;;) {
      const end = this.#text.indexOf('<', this.#at);
      if (end < 0) bad('a text does not end');
      out += unescaped(this.#text.slice(this.#at, end));
      this.#at = end;
      if (this.#text.startsWith('<![CDATA[', end)) {
        const stop = this.#text.indexOf(']]>', end);
        if (stop < 0) bad('a text does not end');
        out += this.#text.slice(end + 9, stop);
        this.#at = stop + 3;
        continue;
      }
      const close = this.#tag();
      if (!close.close || close.name !== tag.name) bad('elements are not closed in order');
      return out;
    }
  }
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[a-zA-Z]{1,8});|&/g, (_, name: string | undefined) => {
    if (name === undefined) return bad('an entity is malformed');
    if (!name.startsWith('#')) return ENTITIES[name] ?? bad('it uses an unknown entity');
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) bad('an entity is malformed');
    return String.fromCodePoint(code);
  });
}

function integer(text: string): number | bigint {
  if (!/^[+-]?(?:0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(text)) bad('an integer is malformed');
  const negative = text.startsWith('-');
  const magnitude = BigInt(text.replace(/^[+-]/, ''));
  const value = negative ? -magnitude : magnitude;
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function real(text: string): number {
  const value = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) bad('a number is malformed');
  return value;
}

function date(text: string): Date {
  const value = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(value.getTime())) bad('a date is malformed');
  return value;
}

function data(text: string): Uint8Array {
  const compact = text.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.replace(/=+$/, '').length % 4 === 1) bad('data is malformed');
  return Buffer.from(compact, 'base64');
}
