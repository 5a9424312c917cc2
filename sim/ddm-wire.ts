/** The server broke the protocol. */
export class DdmError extends Error {
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.name = 'DdmError';
    this.status = status;
  }
}

/** New and changed objects of a list, and markers for the ones that went. */
export function changes(before: unknown, after: readonly unknown[]): unknown[] {
  const key = (item: unknown) => (item as { identifier?: string }).identifier ?? '';
  const old = new Map((Array.isArray(before) ? before : []).map((item: unknown) => [key(item), JSON.stringify(item)]));
  const left = new Set(after.map(key));
  return [
    ...after.filter((item) => old.get(key(item)) !== JSON.stringify(item)),
    ...[...old.keys()].filter((name) => !left.has(name)).map((identifier) => ({ identifier, _removed: true })),
  ];
}

export function nested(items: { [path: string]: unknown }): object {
  const root: { [key: string]: unknown } = {};
  for (const [path, value] of Object.entries(items)) {
    const parts = path.split('.');
    let node = root;
    for (const part of parts.slice(0, -1)) {
      node[part] ??= {};
      node = node[part] as { [key: string]: unknown };
    }
    node[parts.at(-1)!] = value;
  }
  return root;
}

/** The body as an object. Throws DdmError. */
export function readJson(body: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // said below
  }
  throw new DdmError('an answer is not a JSON object');
}

/** The token in Apple's TokensResponse. Throws DdmError if it is not one. */
export function tokenIn(body: Uint8Array): string {
  const { SyncTokens: tokens } = readJson(body) as {
    SyncTokens?: { DeclarationsToken?: unknown; Timestamp?: unknown };
  };
  if (typeof tokens?.DeclarationsToken !== 'string' || typeof tokens.Timestamp !== 'string') {
    throw new DdmError('tokens have no DeclarationsToken or Timestamp');
  }
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(tokens.Timestamp))
    throw new DdmError('the Timestamp is no RFC 3339 time');
  return tokens.DeclarationsToken;
}
