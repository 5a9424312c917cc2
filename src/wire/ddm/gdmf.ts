import type { Json } from '#base';
import { WireError } from '../error.ts';
import { compareVersions } from '../version.ts';

/** A system version that Apple signs, with the models that can have it (`iPhone15,4`). Dates as YYYY-MM-DD. */
export interface OsRelease {
  readonly version: string;
  readonly build: string;
  readonly posted: string;
  readonly expires: string | null;
  readonly models: readonly string[];
}

/** Reads Apple's list of signed versions (gdmf, `PublicAssetSets.iOS`). Keeps iPhones and iPads. Throws WireError `feed`. */
export function parseReleases(bytes: Uint8Array): OsRelease[] {
  let feed: Json;
  try {
    feed = JSON.parse(Buffer.from(bytes).toString('utf8')) as Json;
  } catch {
    throw new WireError('feed', 'The list of system versions is not JSON.');
  }
  const sets = member(member(feed, 'PublicAssetSets'), 'iOS');
  if (!Array.isArray(sets)) throw new WireError('feed', 'The list of system versions has no PublicAssetSets.iOS.');
  const found = new Map<string, OsRelease>();
  for (const entry of sets as readonly Json[]) {
    const [version, build, posted, expires, models] = [
      ...['ProductVersion', 'Build', 'PostingDate', 'ExpirationDate', 'SupportedDevices'].map((key) =>
        member(entry, key),
      ),
    ];
    if (typeof version !== 'string' || !/^\d{1,3}(\.\d{1,3}){1,2}$/.test(version)) continue;
    if (typeof build !== 'string' || !/^\d{1,3}[A-Z]\d{1,5}[a-z]?$/.test(build)) continue;
    if (typeof posted !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(posted) || !Array.isArray(models)) continue;
    const ours = (models as readonly Json[]).filter(
      (model): model is string => typeof model === 'string' && /^(iPhone|iPad)\d{1,2},\d{1,2}$/.test(model),
    );
    if (ours.length === 0) continue;
    const key = `${version} ${build}`;
    found.set(key, {
      ...{ version, build, posted },
      expires: typeof expires === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(expires) ? expires : null,
      models: [...new Set([...(found.get(key)?.models ?? []), ...ours])].sort(),
    });
  }
  if (found.size === 0) throw new WireError('feed', 'The list of system versions names no iPhone and no iPad.');
  return [...found.values()].sort((a, b) => compareVersions(b.version, a.version) || b.posted.localeCompare(a.posted));
}

/** The newest version that a model can have on this day (YYYY-MM-DD), or undefined. `releases` newest first. */
export function newestFor(model: string, releases: readonly OsRelease[], day: string): OsRelease | undefined {
  return releases.find(
    ({ models, expires, posted }) => models.includes(model) && posted <= day && (expires === null || expires >= day),
  );
}

function member(value: Json | undefined, key: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as { readonly [key: string]: Json })[key] : undefined;
}
