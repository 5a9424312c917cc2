import { sha256 } from '#base';
import { isDict, type Plist, type PlistDict, textAt } from '#wire';

/** One key that differs. Values are shown as text, bytes as a short hash, secrets not at all. */
export interface KeyChange {
  readonly key: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** One payload that was added, removed or changed. */
export interface PayloadChange {
  readonly type: string;
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly keys: readonly KeyChange[];
}

const SECRET = /pass(word|code|phrase)?$|secret|challenge|psk|privatekey|^token$|sharedsecret/i;
/** They change with every export and say nothing about what a device does. */
const IDLE = new Set(['PayloadUUID', 'PayloadVersion', 'PayloadContent', 'PayloadType', 'PayloadIdentifier']);
const MOST_TEXT = 200;

/**
 * What a new version of a profile changes, key by key. Payloads are matched by their identifier, else by their type and
 * place among those of the type.
 */
export function diffProfiles(before: PlistDict | undefined, after: PlistDict): PayloadChange[] {
  const [old, fresh] = [payloadsOf(before), payloadsOf(after)];
  const changes: PayloadChange[] = [];
  const top = diffKeys(before, after);
  if (top.length > 0)
    changes.push({
      type: 'Configuration',
      name: 'The profile itself',
      change: before ? 'changed' : 'added',
      keys: top,
    });
  for (const [key, payload] of fresh) {
    const same = old.get(key);
    const keys = diffKeys(same, payload);
    if (same !== undefined && keys.length === 0) continue;
    changes.push({ ...labelOf(payload), change: same === undefined ? 'added' : 'changed', keys });
  }
  for (const [key, payload] of old)
    if (!fresh.has(key)) changes.push({ ...labelOf(payload), change: 'removed', keys: diffKeys(payload, undefined) });
  return changes;
}

const labelOf = (payload: PlistDict) => ({
  type: (textAt(payload, 'PayloadType') ?? '').slice(0, 128),
  name: (textAt(payload, 'PayloadDisplayName') ?? textAt(payload, 'PayloadType') ?? '').slice(0, 120),
});

function payloadsOf(profile: PlistDict | undefined): Map<string, PlistDict> {
  const found = new Map<string, PlistDict>();
  const contents = profile?.get('PayloadContent');
  for (const payload of Array.isArray(contents) ? contents : []) {
    if (!isDict(payload)) continue;
    const base = `${textAt(payload, 'PayloadType')} ${textAt(payload, 'PayloadIdentifier')}`;
    let key = base;
    for (let nth = 2; found.has(key); nth += 1) key = `${base} ${nth}`;
    found.set(key, payload);
  }
  return found;
}

function diffKeys(before: PlistDict | undefined, after: PlistDict | undefined): KeyChange[] {
  const [old, fresh] = [flatten(before), flatten(after)];
  const keys = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  return keys.flatMap((key) => {
    const [one, two] = [old.get(key), fresh.get(key)];
    if (one?.exact === two?.exact) return [];
    const hidden = one !== undefined && one.shown === two?.shown ? ', another one' : '';
    return [{ key, before: one?.shown ?? null, after: two === undefined ? null : `${two.shown}${hidden}` }];
  });
}

interface Leaf {
  /** Tells equal values from others; never leaves this file. */
  readonly exact: string;
  readonly shown: string;
}

/** Every leaf by its path, such as `WPA.Identities[0]`. */
function flatten(dict: PlistDict | undefined): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  const walk = (value: Plist, path: string, secret: boolean) => {
    if (isDict(value)) {
      for (const [key, inner] of value) walk(inner, `${path}.${key}`, secret || SECRET.test(key));
    } else if (Array.isArray(value)) {
      for (const [index, inner] of value.entries()) walk(inner as Plist, `${path}[${index}]`, secret);
    } else leaves.set(path.slice(0, 200), leaf(value, secret));
  };
  for (const [key, value] of dict ?? []) if (!IDLE.has(key)) walk(value, key, SECRET.test(key));
  return leaves;
}

function leaf(value: Plist, secret: boolean): Leaf {
  const bytes = value instanceof Uint8Array ? value : value instanceof Date ? value.toISOString() : String(value);
  const hash = sha256(bytes).toString('hex');
  const exact = `${typeof value} ${hash}`;
  // Even a hash would let a short secret be guessed: of one only its length is shown.
  if (secret) return { exact, shown: `hidden (${bytes.length} ${typeof bytes === 'string' ? 'characters' : 'bytes'})` };
  if (typeof bytes !== 'string') return { exact, shown: `${bytes.length} bytes (${hash.slice(0, 8)})` };
  return { exact, shown: bytes.length > MOST_TEXT ? `${bytes.slice(0, MOST_TEXT)}… (${hash.slice(0, 8)})` : bytes };
}
