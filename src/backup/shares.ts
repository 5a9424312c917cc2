import { combine, split } from 'shamir-secret-sharing';
import { sha256 } from '#base';
import { type RecoveryKey, recoveryKeyOf } from '#seal';
import { BackupError } from './error.ts';

/** How many cards there are, and how many open. */
export const SHARES = 5;
export const NEEDED = 3;

// Crockford's base 32: nothing that a hand mistakes for something else.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const WORDS =
  'acorn amber anvil apple arrow badge basin beach birch blade bloom board brass brick bridge brook cabin candle canoe castle cedar chalk chart cherry cliff cloud clover coast copper coral cotton crane creek crown dawn delta desk drum eagle ember falcon feather fern field flame flint forest fox garden gate ginger glass globe grain granite harbor hazel heron honey horse island ivory jacket jade juniper'.split(
    ' ',
  );

export interface Share {
  /** 1 to 5, as written on the card. */
  readonly number: number;
  /** The id of the recovery key. */
  readonly key: string;
  /** What the card says in one line: `BTZ-<id>-<number>-<groups>`. */
  readonly text: string;
  /** Four words that change with any letter of the line. */
  readonly words: string;
}

const encode = (bytes: Uint8Array): string => {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  const length = Math.ceil((bytes.length * 8) / 5);
  bits <<= BigInt(length * 5 - bytes.length * 8);
  return Array.from({ length }, (_, i) => ALPHABET[Number((bits >> BigInt((length - 1 - i) * 5)) & 31n)]).join('');
};

const decode = (text: string, bytes: number): Buffer => {
  let bits = 0n;
  for (const letter of text) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(letter));
  bits >>= BigInt(text.length * 5 - bytes * 8);
  return Buffer.from(bits.toString(16).padStart(bytes * 2, '0'), 'hex');
};

const SHARE_BYTES = 33;
const CHECK_BYTES = 4;
const LETTERS = Math.ceil(((SHARE_BYTES + CHECK_BYTES) * 8) / 5);

const checkOf = (key: string, number: number, share: Uint8Array): Buffer =>
  sha256(`bartizan share v1|${key}|${number}|`, share).subarray(0, CHECK_BYTES);

const wordsOf = (line: string): string => {
  const hash = sha256(line);
  return [0, 1, 2, 3].map((i) => WORDS[hash[i]! % WORDS.length]).join(' ');
};

/** Splits the secret half into five cards, any three of which give it back. Two say nothing about it. */
export async function splitRecovery(seed: Uint8Array): Promise<Share[]> {
  const { id } = recoveryKeyOf(seed);
  const parts = await split(new Uint8Array(seed), SHARES, NEEDED);
  return parts.map((part, i) => {
    const number = i + 1;
    const letters = encode(Buffer.concat([part, checkOf(id, number, part)]));
    const text = `BTZ-${id}-${number}-${letters.match(/.{1,5}/g)!.join('-')}`;
    part.fill(0);
    return { number, key: id, text, words: wordsOf(text) };
  });
}

/** Reads one card as somebody typed it: case, spaces and hyphens do not matter, nor O for 0, I and L for 1. Throws BackupError `share`. */
export function readShare(typed: string): { readonly number: number; readonly key: string; readonly bytes: Buffer } {
  const plain = typed.toLowerCase().replace(/[^a-z0-9]/g, '');
  const parts = /^btz([0-9a-f]{8})([1-5])(.+)$/.exec(plain);
  if (parts === null) {
    throw new BackupError('share', 'This is not a share: it begins with BTZ, the key’s id and the card’s number.');
  }
  const [, key, digit, rest] = parts as unknown as [string, string, string, string];
  const number = Number(digit);
  const letters = rest.replaceAll('o', '0').replace(/[il]/g, '1').replaceAll('u', 'v');
  if (letters.length !== LETTERS) {
    throw new BackupError(
      'share',
      `Card ${number} has ${LETTERS} letters after its number; ${letters.length} were typed.`,
    );
  }
  const all = decode(letters, SHARE_BYTES + CHECK_BYTES);
  const bytes = all.subarray(0, SHARE_BYTES);
  if (!checkOf(key, number, bytes).equals(all.subarray(SHARE_BYTES))) {
    throw new BackupError('share', `Card ${number} was mistyped somewhere. Compare it letter by letter and try again.`);
  }
  return { number, key, bytes };
}

/** Puts three or more cards together. `of`: the recovery key that is wanted, if known. Throws BackupError with what to do. */
export async function combineShares(
  typed: readonly string[],
  of?: Pick<RecoveryKey, 'id'>,
): Promise<{ seed: Buffer; key: RecoveryKey }> {
  const shares = new Map<number, ReturnType<typeof readShare>>();
  for (const share of typed.map(readShare)) {
    if (of !== undefined && share.key !== of.id) {
      throw new BackupError(
        'share',
        `Card ${share.number} belongs to the recovery key ${share.key}; these backups need cards of ${of.id}.`,
      );
    }
    shares.set(share.number, share);
  }
  const all = [...shares.values()];
  const keys = new Set(all.map(({ key }) => key));
  if (keys.size > 1) {
    throw new BackupError('share', `These cards belong to different recovery keys: ${[...keys].join(', ')}.`);
  }
  if (all.length < NEEDED) {
    throw new BackupError('shares', `${NEEDED} different cards are needed; there are ${all.length}.`);
  }
  const seed = Buffer.from(await combine(all.map(({ bytes }) => new Uint8Array(bytes))));
  const key = seed.length === 32 ? recoveryKeyOf(seed) : undefined;
  if (key?.id !== all[0]!.key) {
    throw new BackupError('shares', 'These cards do not fit together: one of them was made for something else.');
  }
  return { seed, key };
}
