/** Letters that decomposition leaves as they are, by what people type for them. */
const SPECIAL: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ ß: 'ss', ø: 'o', ł: 'l', æ: 'ae', œ: 'oe', đ: 'd', ð: 'd', þ: 'th', ħ: 'h', ı: 'i', ŋ: 'n', ŧ: 't', ſ: 's' },
    ...{ ĸ: 'k', ɨ: 'i', ə: 'e', ς: 'σ', ґ: 'г', є: 'е', і: 'и', ў: 'у', ђ: 'д', ћ: 'т' },
  }),
);
/** Vanish within a word: O’Brien is found as obrien. */
const SILENT = /^['’ʼ‘`´.ˈ\u00ad\u200c\u200d]$/u;

const SPACE = Uint8Array.of(0x20);
const NOTHING = new Uint8Array(0);
const known = new Map<number, Uint8Array>();

/** What one code point is folded to, UTF-8: lower case without marks; whatever is no letter or digit is a space. */
function foldPoint(point: number): Uint8Array {
  const before = known.get(point);
  if (before !== undefined) return before;
  const made = make(String.fromCodePoint(point));
  known.set(point, made);
  return made;
}

function make(letter: string): Uint8Array {
  if (SILENT.test(letter)) return NOTHING;
  const bare = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '');
  const lower = bare(bare(letter).toLowerCase());
  const folded = [...lower].map((one) => SPECIAL.get(one) ?? one).join('');
  if (folded === '' && /\p{M}/u.test(letter)) return NOTHING;
  return /^[\p{L}\p{N}]+$/u.test(folded) ? Buffer.from(folded) : SPACE;
}

/** The code points of UTF-8 bytes; U+FFFD for what is none. Never makes a string of more than one of them. */
function* points(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at]!;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    let point = length === 1 ? first : first & (0x7f >> length);
    let whole = length > 0;
    for (let next = 1; next < length; next++) {
      const byte = bytes[at + next] ?? 0;
      if ((byte & 0xc0) !== 0x80) whole = false;
      point = (point << 6) | (byte & 0x3f);
    }
    whole &&= point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    yield whole ? point : 0xfffd;
    at += whole ? length : 1;
  }
}

/**
 * Folds UTF-8 for searching: words of lower-case letters and digits without diacritics, one space before, between and after
 * them. Works on bytes alone, as strings cannot be wiped. Whoever asks wipes the result.
 */
export function fold(bytes: Uint8Array): Buffer {
  // No code point is folded to more than nine times its bytes (U+FDFA has 18 letters and three bytes).
  const work = Buffer.alloc(bytes.length * 12 + 2);
  let end = 0;
  work[end++] = 0x20;
  const spaced = () => work[end - 1] === 0x20;
  for (const point of points(bytes)) {
    for (const byte of foldPoint(point)) if (byte !== 0x20 || !spaced()) work[end++] = byte;
  }
  if (!spaced()) work[end++] = 0x20;
  const folded = Buffer.alloc(end);
  work.copy(folded, 0, 0, end);
  work.fill(0);
  return folded;
}

/** The words of what `fold` made: views into it. */
export function wordsOf(folded: Buffer): Buffer[] {
  const words: Buffer[] = [];
  for (let at = 1; at < folded.length; ) {
    const end = folded.indexOf(0x20, at);
    if (end > at) words.push(folded.subarray(at, end));
    at = end + 1;
  }
  return words;
}
