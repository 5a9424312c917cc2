import { decodeEntries, encodeEntries } from '#proof';
import { type Case, type Files, makeLog } from './logs.ts';

/** Numbers that one seed gives again (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
}

type Below = (below: number) => number;
/** What was done, and the log after it; undefined where there is nothing to do it to. */
type Tampering = (one: Case, below: Below) => { readonly what: string; readonly files: Files } | undefined;

const pick = <T>(all: readonly T[], below: Below): T => all[below(all.length)]!;
const put = (files: Files, path: string, bytes: Buffer): Files => new Map(files).set(path, bytes);
const bundlesOf = ({ files }: Case) => [...files.keys()].filter((path) => path.startsWith('tile/entries/'));
const hashesOf = ({ files }: Case) => [...files.keys()].filter((path) => /^tile\/[0-9]/.test(path));

/** Changes the entries of one bundle, keeping its form. */
const inBundle =
  (word: string, change: (entries: Buffer[], below: Below) => Buffer[] | undefined): Tampering =>
  (one, below) => {
    const path = pick(bundlesOf(one), below);
    const entries = change(decodeEntries(one.files.get(path)!), below);
    return entries && { what: `${word} in ${path}`, files: put(one.files, path, encodeEntries(entries)) };
  };

/** The owner of the key writes the log anew: only what somebody else kept shows it. */
const anew =
  (word: string, change: (entries: Buffer[], below: Below, vouched: number) => Buffer[]): Tampering =>
  (one, below) => {
    if (one.vouched === 0) return undefined;
    return { what: word, files: makeLog(change([...one.entries], below, one.vouched)) };
  };

const otherEntry = (entry: Buffer, below: Below): Buffer => {
  const bytes = Buffer.from(entry);
  bytes[below(bytes.length)]! ^= 1 + below(255);
  return bytes;
};

export const TAMPERINGS: Readonly<Record<string, Tampering>> = {
  'edit a bit': (one, below) => {
    const path = pick([...one.files.keys()], below);
    const bytes = Buffer.from(one.files.get(path)!);
    const at = below(bytes.length);
    bytes[at]! ^= 1 << below(8);
    return { what: `bit of byte ${at} of ${path}`, files: put(one.files, path, bytes) };
  },
  'edit an entry': inBundle('an entry', (entries, below) => {
    const at = below(entries.length);
    return entries.with(at, otherEntry(entries[at]!, below));
  }),
  'edit an entry and every tile': (one, below) => {
    const at = below(one.entries.length);
    const files = makeLog(one.entries.with(at, otherEntry(one.entries[at]!, below)));
    // The key is not his: the signed checkpoint stays.
    return { what: `entry ${at} with its tiles`, files: files.set('checkpoint', one.files.get('checkpoint')!) };
  },
  'delete a file': (one, below) => {
    const { files } = one;
    const current = [...makeLog(one.entries).keys()];
    const path = pick(current, below);
    return { what: path, files: new Map([...files].filter(([name]) => name !== path)) };
  },
  'delete an entry': inBundle('an entry', (entries, below) => entries.toSpliced(below(entries.length), 1)),
  'insert an entry': inBundle('an entry', (entries, below) =>
    entries.toSpliced(below(entries.length + 1), 0, Buffer.from(`{"n":${below(9999)}}`)),
  ),
  'reorder entries': inBundle('two entries', (entries, below) => {
    if (entries.length < 2) return undefined;
    const a = below(entries.length);
    const b = (a + 1 + below(entries.length - 1)) % entries.length;
    return entries.with(a, entries[b]!).with(b, entries[a]!);
  }),
  'reorder hashes': (one, below) => {
    const path = pick(hashesOf(one), below);
    const bytes = one.files.get(path)!;
    const count = bytes.length / 32;
    if (count < 2) return undefined;
    const a = below(count);
    const b = (a + 1 + below(count - 1)) % count;
    const turned = Buffer.from(bytes);
    bytes.copy(turned, a * 32, b * 32, b * 32 + 32);
    bytes.copy(turned, b * 32, a * 32, a * 32 + 32);
    return { what: `hashes ${a} and ${b} of ${path}`, files: put(one.files, path, turned) };
  },
  'reorder files': (one, below) => {
    const [a, b] = [pick([...one.files.keys()], below), pick([...one.files.keys()], below)];
    if (one.files.get(a)!.equals(one.files.get(b)!)) return undefined;
    return { what: `${a} and ${b}`, files: put(put(one.files, a, one.files.get(b)!), b, one.files.get(a)!) };
  },
  'truncate a file': (one, below) => {
    const path = pick([...one.files.keys()], below);
    const bytes = one.files.get(path)!;
    return { what: path, files: put(one.files, path, bytes.subarray(0, below(bytes.length))) };
  },
  'append to a file': (one, below) => {
    const path = pick([...one.files.keys()], below);
    const more = Buffer.from(Array.from({ length: 1 + below(40) }, () => below(256)));
    return { what: path, files: put(one.files, path, Buffer.concat([one.files.get(path)!, more])) };
  },
  'add a file': (one, below) => ({
    what: 'a file',
    files: put(one.files, pick(['tile/note', 'x', 'tile/0/000.p/256', 'tile/entries/0'], below), Buffer.from('x')),
  }),
  'roll back': anew('to a state that was signed', (entries, below, vouched) => entries.slice(0, below(vouched))),
  'fork by an edit': anew('an entry written anew', (entries, below, vouched) => {
    const at = below(vouched);
    return entries.with(at, otherEntry(entries[at]!, below));
  }),
  'fork by a deletion': anew('an entry left out', (entries, below, vouched) => entries.toSpliced(below(vouched), 1)),
  'fork by an order': anew('entries in another order', (entries, below, vouched) => {
    if (entries.length < 2) return [];
    const first = below(vouched);
    const other = (first + 1 + below(entries.length - 1)) % entries.length;
    return entries.with(first, entries[other]!).with(other, entries[first]!);
  }),
};
