import { execFileSync } from 'node:child_process';
import { crc32, deflateRawSync } from 'node:zlib';
import {
  findZipDirectory,
  isDict,
  parseAnyPlist,
  readZipDirectory,
  readZipEntry,
  textAt,
  ZIP_LOCAL_BYTES,
  ZIP_TAIL_BYTES,
  zipLocalExtent,
} from '#wire';
import type { Dice } from './dice.ts';
import { Broken, checkTexts, type Target } from './target.ts';

const MOST = 1024 * 1024;

/** The texts of a value, each once, and how much it holds: the same one may stand in it many times. */
function checkValue(value: unknown): void {
  const texts = new Set<string>();
  const walk = (one: unknown): void => {
    if (typeof one === 'string') texts.add(one);
    else if (Array.isArray(one)) one.forEach(walk);
    else if (one instanceof Map) for (const pair of one) pair.forEach(walk);
  };
  walk(value);
  checkTexts([...texts]);
  if ([...texts].reduce((sum, { length }) => sum + length, 0) > MOST) throw new Broken('it is larger than its file');
}

/** App packages and their property lists as Python's own libraries write them. */
const PYTHON = `
import io, plistlib, sys, zipfile
info = {'CFBundleIdentifier': 'org.example.mail', 'CFBundleName': 'Mail', 'CFBundleShortVersionString': '4.2',
  'CFBundleVersion': '1', 'MinimumOSVersion': '16.0', 'CFBundleSupportedPlatforms': ['iPhoneOS'], 'n': [1, 2.5, True, -7],
  'deep': {'a': {'b': ['x' * 20, b'data']}}, 'word': 'caf\\u00e9 \\u4e16'}
binary = plistlib.dumps(info, fmt=plistlib.FMT_BINARY)
if sys.argv[1] == 'plist':
  sys.stdout.buffer.write(binary)
else:
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED if sys.argv[1] == 'deflated' else zipfile.ZIP_STORED) as archive:
    archive.comment = b'a comment' if sys.argv[1] == 'stored' else b''
    archive.writestr('Payload/', '')
    archive.writestr('Payload/Mail.app/Info.plist', binary)
    archive.writestr('Payload/Mail.app/Mail', b'machine code' * 20)
  sys.stdout.buffer.write(out.getvalue())
`;
const python = (what: 'plist' | 'deflated' | 'stored') => execFileSync('python3', ['-c', PYTHON, what]);

const hex = (...lines: string[]) => lines.map((line) => Buffer.from(line.replaceAll(' ', ''), 'hex'));
const BINARY_WORDS = [
  ...hex(
    'd0',
    'd1 01 02',
    'a1 00',
    'a2 00 00',
    'af 11 00 80',
    'af 12 01 ff ff ff',
    '5f 12 7f ff ff ff',
    '4f 10 20',
    '08',
    '09',
  ),
  ...hex(
    '13 ff ff ff ff ff ff ff ff',
    '33 7f f8 00 00 00 00 00 00',
    '62 d8 00 d8 00',
    '23 00 00 00 00 00 00 00 00',
    '80 01',
  ),
  ...hex('00 00 00 00 00 00 01 01', '00 00 00 00 00 00 00 02', 'ff ff ff ff ff ff ff ff'),
];
const ZIP_WORDS = [
  ...hex('50 4b 01 02', '50 4b 03 04', '50 4b 05 06', '50 4b 06 07', '00 00', 'ff ff', 'ff ff ff ff', '08 00', '01 00'),
  ...['Payload/', 'Info.plist', '../', '/', '.app/'].map((one) => Buffer.from(one)),
];

/** A list whose one long text is meant as often as references fit: small on disk, large for whoever copies it each time. */
function sharedText(bytes: number, times: number): Buffer {
  const size = Buffer.alloc(4);
  const array = [Buffer.from('af12', 'hex'), size, Buffer.alloc(times, 1)];
  size.writeUInt32BE(times);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes);
  const objects = Buffer.concat([...array, Buffer.from('5f12', 'hex'), length, Buffer.alloc(bytes, 0x61)]);
  const table = Buffer.alloc(8);
  table.writeUInt32BE(8, 0);
  table.writeUInt32BE(8 + 6 + times, 4);
  const trailer = Buffer.alloc(32);
  trailer[6] = 4;
  trailer[7] = 1;
  trailer.writeBigUInt64BE(2n, 8);
  trailer.writeBigUInt64BE(BigInt(8 + objects.length), 24);
  return Buffer.concat([Buffer.from('bplist00'), objects, table, trailer]);
}

/** As many texts as fit, each a few bytes behind the one before and as long as may be: they overlap. */
function overlapping(count: number, length: number): Buffer {
  const one = Buffer.from('5f1200000000', 'hex');
  one.writeUInt32BE(length, 2);
  const head = Buffer.from('af1200000000', 'hex');
  head.writeUInt32BE(count, 2);
  const refs = Buffer.alloc(count * 2);
  const table = Buffer.alloc((count + 1) * 4);
  const first = 8 + head.length + refs.length;
  table.writeUInt32BE(8, 0);
  for (let n = 0; n < count; n += 1) {
    refs.writeUInt16BE(n + 1, n * 2);
    table.writeUInt32BE(first + n * one.length, (n + 1) * 4);
  }
  const texts = Buffer.concat([...Array<Buffer>(count).fill(one), Buffer.alloc(length, 0x61)]);
  const trailer = Buffer.alloc(32);
  trailer[6] = 4;
  trailer[7] = 2;
  trailer.writeBigUInt64BE(BigInt(count + 1), 8);
  trailer.writeBigUInt64BE(BigInt(first + texts.length), 24);
  return Buffer.concat([Buffer.from('bplist00'), head, refs, texts, table, trailer]);
}

/** Property lists in their binary form. */
export function binaryPlistTarget(): Target {
  return {
    ...{ name: 'binary-plist', form: 'cbor', maxBytes: MOST, words: BINARY_WORDS },
    seeds: [
      python('plist'),
      sharedText(200, 200),
      sharedText(50_000, 20_000),
      overlapping(20, 100),
      overlapping(5_000, 40_000),
    ],
    parse: (input) => {
      const value = parseAnyPlist(input);
      checkValue(value);
      if (!isDict(value)) return Array.isArray(value) ? `list of ${Math.min(value.length, 3)}` : typeof value;
      return `${Math.min(value.size, 12)} ${textAt(value, 'CFBundleIdentifier') === undefined}`;
    },
  };
}

/** A ZIP archive of one file, right in all its sizes and sums, around bytes that need not be. */
function zipOf(name: string, bytes: Buffer): Buffer {
  const data = deflateRawSync(bytes);
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(crc32(bytes), 0);
  sizes.writeUInt32LE(data.length, 4);
  sizes.writeUInt32LE(bytes.length, 8);
  const short = (value: number) => Buffer.of(value & 0xff, value >> 8);
  const shared = Buffer.concat([short(20), short(0), short(8), Buffer.alloc(4), sizes, short(name.length), short(0)]);
  const local = Buffer.concat([Buffer.from('504b0304', 'hex'), shared, Buffer.from(name), data]);
  const central = Buffer.concat([
    ...[Buffer.from('504b0102', 'hex'), short(20), shared, Buffer.alloc(14), Buffer.from(name)],
  ]);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

/** App packages: the archive's list, and every file of it that is small enough, as far as the property list inside. */
export function packageTarget(): Target {
  const info = python('plist');
  return {
    ...{ name: 'package', form: 'cbor', maxBytes: MOST, words: ZIP_WORDS },
    // Measured with nothing but node:zlib: 60 000 inflations that fail keep 240 MiB.
    keptBack: { peakMb: 1.5, heldMb: 0.05, why: 'Node frees what a failed inflation used when its event loop turns' },
    seeds: [python('deflated'), python('stored'), zipOf('Payload/A.app/Info.plist', info)],
    parse: (input) => {
      const tail = input.subarray(Math.max(0, input.length - ZIP_TAIL_BYTES));
      const directory = findZipDirectory(tail, input.length);
      const entries = readZipDirectory(
        input.subarray(directory.offset, directory.offset + directory.length),
        directory,
      );
      checkTexts(entries.map(({ name }) => name));
      const [entry] = entries.filter(({ name }) => name.endsWith('Info.plist'));
      if (entry === undefined) return `no plist among ${Math.min(entries.length, 4)}`;
      const header = input.subarray(entry.offset, entry.offset + ZIP_LOCAL_BYTES);
      const from = entry.offset + ZIP_LOCAL_BYTES;
      const rest = input.subarray(from, from + zipLocalExtent(header, entry) + entry.compressed);
      const bytes = readZipEntry(header, rest, entry, MOST);
      if (bytes.length !== entry.size) throw new Broken('a file has another size than its entry says');
      const value = parseAnyPlist(bytes);
      checkValue(value);
      return `${entry.method} ${isDict(value) ? Math.min(value.size, 12) : typeof value}`;
    },
    make: (_dice: Dice, change) => zipOf('Payload/A.app/Info.plist', change(info)),
  };
}
