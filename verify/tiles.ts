/** Hashes in a full tile, entries in a full bundle. C2SP tlog-tiles. */
export const WIDTH = 256;
/** The largest file that a log can hold: 256 entries of 65 535 bytes with their lengths. */
export const FILE_BYTES = WIDTH * (2 + 65_535);

export interface Tile {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

/** `tile/<level>/<index>[.p/<width>]`, the index in groups of three digits. */
export function pathOf({ level, index, width }: Tile): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g)!;
  const last = groups.pop();
  const spelled = [...groups.map((group) => `x${group}`), last].join('/');
  return `tile/${level}/${spelled}${width === WIDTH ? '' : `.p/${width}`}`;
}

/** Reads a path; undefined if it is no tile's, or not in its one spelling. */
export function tileAt(path: string): Tile | undefined {
  const match = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/.exec(path);
  if (match === null) return undefined;
  const level = match[1] === 'entries' ? 'entries' : Number(match[1]);
  const tile = { level, index: Number(match[2]!.replaceAll(/[x/]/g, '')), width: Number(match[3] ?? WIDTH) } as const;
  const fits = tile.width >= 1 && tile.width <= WIDTH && (level === 'entries' || level < 8);
  return fits && pathOf(tile) === path ? tile : undefined;
}

/** How wide the tile at an index is, of `count` hashes or entries in its level. */
export const widthAt = (index: number, count: number): number => Math.max(0, Math.min(WIDTH, count - index * WIDTH));

/** Reads an entry bundle: each entry with its 2-byte big-endian length. Undefined if it ends within one. */
export function entriesOf(bytes: Buffer): Buffer[] | undefined {
  const entries: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 2 > bytes.length) return undefined;
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) return undefined;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return entries;
}
