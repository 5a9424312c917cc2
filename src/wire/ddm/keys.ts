/** What a value must be. Sizes are inclusive. */
export type KeyType =
  | { readonly is: 'bool' | 'str' | 'url' | 'data' | 'any' }
  | { readonly is: 'int' | 'real'; readonly min?: number; readonly max?: number }
  | { readonly is: 'one'; readonly of: readonly string[] }
  /** Names another declaration, of one of these asset types. */
  | { readonly is: 'asset'; readonly of: readonly string[] }
  | { readonly is: 'list'; readonly item: KeyType }
  | { readonly is: 'dict'; readonly keys: KeyTable };

export interface Key {
  readonly type: KeyType;
  readonly required: boolean;
  /** First iOS and iPadOS that knows it, or undefined where the declaration's own is meant. */
  readonly since: string | undefined;
  /** Not for iPhone and iPad at all. */
  readonly mac: boolean;
}

/** Keys by name; `*` stands for any other name. */
export type KeyTable = ReadonlyMap<string, Key>;

interface Line {
  readonly depth: number;
  readonly text: string;
}

/**
 * Reads our notation of Apple's key tables, one key a line, two spaces a level:
 * `Name[?][@since] type`, where `?` is optional, `since` an iOS version or `mac`, and the type one of `bool`, `str`, `url`,
 * `data`, `any`, `int`, `int 0..16`, `real`, `one A|B`, `asset data|credential.scep`, `{}` with its keys below, or any of
 * these in brackets for a list. Throws SyntaxError: the tables are ours, so a mistake in one shows at start.
 */
export function readKeys(notation: string): KeyTable {
  const lines = notation
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ depth: (line.length - line.trimStart().length) / 2, text: line.trim() }));
  const [table, rest] = level(lines, lines[0]?.depth ?? 0);
  if (rest.length > 0) throw new SyntaxError(`the key table is indented wrongly at ${rest[0]!.text}`);
  return table;
}

function level(lines: readonly Line[], depth: number): [KeyTable, readonly Line[]] {
  const table = new Map<string, Key>();
  let rest = lines;
  while (rest.length > 0 && rest[0]!.depth === depth) {
    const { text } = rest[0]!;
    const at = /^(.+?)(\?)?(?:@([0-9.]+|mac))? (\[?(?:bool|str|url|data|any|int|real|one|asset|\{).*)$/.exec(text);
    if (at === null) throw new SyntaxError(`the key table does not say what ${text} is`);
    rest = rest.slice(1);
    let below: KeyTable = new Map();
    if (rest.length > 0 && rest[0]!.depth > depth) [below, rest] = level(rest, depth + 1);
    const [, name, optional, since, type] = at;
    table.set(name!, {
      type: typeOf(type!, below),
      required: optional === undefined,
      since: since === 'mac' ? undefined : since,
      mac: since === 'mac',
    });
  }
  return [table, rest];
}

function typeOf(text: string, below: KeyTable): KeyType {
  if (text.startsWith('[')) return { is: 'list', item: typeOf(text.slice(1, -1), below) };
  const [word, detail] = text.split(/ (.*)/s) as [string, string | undefined];
  switch (word) {
    case 'bool':
    case 'str':
    case 'url':
    case 'data':
    case 'any':
      return { is: word };
    case 'int':
    case 'real': {
      const [min, max] = (detail ?? '').split('..');
      return { is: word, ...(min ? { min: Number(min) } : {}), ...(max ? { max: Number(max) } : {}) };
    }
    case 'one':
      return { is: 'one', of: detail!.split('|') };
    case 'asset':
      return { is: 'asset', of: detail!.split('|').map((name) => `com.apple.asset.${name}`) };
    case '{}':
      return { is: 'dict', keys: below };
    default:
      throw new SyntaxError(`the key table knows no type ${word}`);
  }
}
