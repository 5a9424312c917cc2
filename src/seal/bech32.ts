import { SealError } from './errors.ts';

// Bech32 (BIP 173) without its length limit, as age writes recipients and identities.
const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function polymod(values: readonly number[]): number {
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    for (let i = 0; i < 5; i++) if ((top >>> i) & 1) check ^= GENERATOR[i]!;
  }
  return check >>> 0;
}

const expand = (prefix: string): number[] => {
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  return [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)];
};

function regroup(values: Iterable<number>, from: number, to: number, pad: boolean): number[] {
  const groups: number[] = [];
  let held = 0;
  let bits = 0;
  for (const value of values) {
    held = ((held << from) | value) & 0xfff;
    bits += from;
    while (bits >= to) {
      bits -= to;
      groups.push((held >>> bits) & ((1 << to) - 1));
    }
  }
  if (pad && bits > 0) groups.push((held << (to - bits)) & ((1 << to) - 1));
  else if (!pad && (bits >= from || ((held << (to - bits)) & ((1 << to) - 1)) !== 0)) return [];
  return groups;
}

/** Bytes as Bech32 with this lower-case prefix. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const data = regroup(bytes, 8, 5, true);
  const check = polymod([...expand(prefix), ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const tail = [25, 20, 15, 10, 5, 0].map((shift) => (check >>> shift) & 31);
  return `${prefix}1${[...data, ...tail].map((value) => ALPHABET[value]).join('')}`;
}

/** Reads 32 bytes with this prefix, all in one case. Throws SealError `key`, which never repeats the text. */
export function decodeBech32(prefix: string, text: string): Buffer {
  const bad = () => new SealError('key', `This is not a key of the form ${prefix}1…: check that it was copied whole.`);
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) throw bad();
  if (!lower.startsWith(`${prefix}1`)) throw bad();
  const values = [...lower.slice(prefix.length + 1)].map((letter) => ALPHABET.indexOf(letter));
  if (values.includes(-1) || polymod([...expand(prefix), ...values]) !== 1) throw bad();
  const bytes = regroup(values.slice(0, -6), 5, 8, false);
  if (bytes.length !== 32) throw bad();
  return Buffer.from(bytes);
}
