import { crc32, deflateRawSync } from 'node:zlib';
import {
  findZipDirectory,
  isDict,
  parseAnyPlist,
  readZipDirectory,
  readZipEntry,
  ZIP_LOCAL_BYTES,
  ZIP_TAIL_BYTES,
} from '#wire';
import { Broken, type Target } from './target.ts';

const MOST = 64 * 1024;
const hex = (...words: readonly string[]) => words.map((word) => Buffer.from(word, 'hex'));
const ZIP_WORDS = hex(
  '504b0304',
  '504b0102',
  '504b0506',
  '504b0606',
  'ffffffff',
  'ffff',
  '2e2e2f',
  '0800',
  '0000',
  '0100',
);
const PLIST_WORDS = hex(
  '62706c6973743030',
  'd1',
  'a1',
  '5f',
  '6f',
  '4f',
  '12ffffffff',
  '13',
  '08',
  '09',
  '23',
  '33',
  '80',
);

function archive(files: Readonly<Record<string, Buffer>>, stored = false): Buffer {
  const locals: Buffer[] = [];
  const list: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const data = stored ? content : deflateRawSync(content);
    const both = Buffer.alloc(26);
    both.writeUInt16LE(20, 0);
    both.writeUInt16LE(stored ? 0 : 8, 4);
    both.writeUInt32LE(crc32(content), 10);
    both.writeUInt32LE(data.length, 14);
    both.writeUInt32LE(content.length, 18);
    both.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), both, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    list.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0', 'latin1'), both, tail, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(list.length, 8);
  end.writeUInt16LE(list.length, 10);
  end.writeUInt32LE(Buffer.concat(list).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...list, end]);
}

/** Archives that administrators hand in: what is read is as long and as whole as it says, and never more than is asked for. */
export function zipTarget(): Target {
  const files = {
    'Payload/A.app/Info.plist': Buffer.from('<plist/>'.repeat(40)),
    'Payload/A.app/A': Buffer.alloc(300, 7),
  };
  return {
    ...{ name: 'zip', form: 'cbor', maxBytes: MOST, words: ZIP_WORDS },
    seeds: [archive(files), archive(files, true), archive({})],
    parse: (input) => {
      const tail = input.subarray(Math.max(0, input.length - ZIP_TAIL_BYTES));
      const directory = findZipDirectory(tail, input.length);
      const list = input.subarray(directory.offset, directory.offset + directory.length);
      const entries = readZipDirectory(list, directory);
      if (new Set(entries.map(({ name }) => name)).size !== directory.entries) throw new Broken('a name stands twice');
      for (const entry of entries.slice(0, 4)) {
        const header = input.subarray(entry.offset, entry.offset + ZIP_LOCAL_BYTES);
        const out = readZipEntry(header, input.subarray(entry.offset + ZIP_LOCAL_BYTES), entry, MOST);
        if (out.length !== entry.size || out.length > MOST) throw new Broken('a file is longer than it says');
        if (entry.name.split('/').includes('..')) throw new Broken('a name leads elsewhere');
      }
      return `${entries.length} ${entries.map(({ method, size }) => `${method} ${size & 7}`).join()}`;
    },
  };
}

/** Binary property lists, out of archives of administrators. */
export function binaryPlistTarget(): Target {
  const object = Buffer.from('d1010251415f101074686973206973206120746578742021212121a2000023400921fb54442d18', 'hex');
  const whole = (body: Buffer, offsets: readonly number[]) => {
    const table = Buffer.from(offsets);
    const trailer = Buffer.alloc(32);
    trailer[6] = 1;
    trailer[7] = 1;
    trailer.writeBigUInt64BE(BigInt(offsets.length), 8);
    trailer.writeBigUInt64BE(BigInt(8 + body.length), 24);
    return Buffer.concat([Buffer.from('bplist00'), body, table, trailer]);
  };
  return {
    ...{ name: 'binary-plist', form: 'cbor', maxBytes: MOST, words: PLIST_WORDS },
    seeds: [whole(object, [8, 11, 13]), whole(Buffer.from('a2010208090f', 'hex'), [8, 11, 12])],
    parse: (input) => {
      const value = parseAnyPlist(input);
      return isDict(value)
        ? `dict ${[...value.values()].map((one) => typeof one).join()}`
        : `${typeof value} ${Array.isArray(value) ? value.map((one) => typeof one).join() : String(value).slice(0, 1)}`;
    },
  };
}
