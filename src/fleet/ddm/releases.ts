import { get } from 'node:https';
import type { Queryable } from '#store';
import { type OsRelease, parseReleases } from '#wire';
import { FleetError } from '../error.ts';

const MOST_BYTES = 16 * 1024 * 1024;

/** Where the list of signed versions is read. `ca`: PEM of the authority that the server's certificate must come from. */
export interface ReleaseFeed {
  readonly url: string;
  readonly ca?: string;
}

/** Stores a list of versions (Apple's gdmf format). Returns how many are for iPhones and iPads. Throws WireError. */
export async function putReleases(db: Queryable, bytes: Uint8Array, source: string, by: string): Promise<number> {
  const releases = parseReleases(bytes);
  const { rows } = await db.query<{ n: number }>('select fleet.put_releases($1, $2, $3) as n', [
    ...[JSON.stringify(releases), source, by],
  ]);
  return rows[0]!.n;
}

/** Fetches the list and stores it. Throws FleetError `feed` if the server does not give it; the old list stays. */
export async function fetchReleases(db: Queryable, feed: ReleaseFeed): Promise<number> {
  const bytes = await download(feed);
  return putReleases(db, bytes, new URL(feed.url).origin, 'core');
}

function download(feed: ReleaseFeed): Promise<Buffer> {
  const failed = (cause?: unknown) =>
    new FleetError('feed', 'The list of system versions could not be read. The one from before stays.', { cause });
  return new Promise((resolve, reject) => {
    const options = { timeout: 30_000, ...(feed.ca === undefined ? {} : { ca: feed.ca }) };
    const request = get(feed.url, options, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MOST_BYTES) request.destroy(new Error('too large'));
        else parts.push(part);
      });
      response.on('error', (cause) => reject(failed(cause)));
      response.on('end', () => (response.statusCode === 200 ? resolve(Buffer.concat(parts)) : reject(failed())));
    });
    request.on('timeout', () => request.destroy(new Error('too slow')));
    request.on('error', (cause) => reject(failed(cause)));
  });
}

/** All versions, newest first. */
export async function listReleases(db: Queryable): Promise<OsRelease[]> {
  const { rows } = await db.query<OsRelease>(
    `select version, build, posted::text, expires::text, models from fleet.os_release
     order by string_to_array(version, '.')::int[] desc, posted desc`,
  );
  return rows;
}
