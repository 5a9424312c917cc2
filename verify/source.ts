import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Finding } from './finding.ts';
import { FILE_BYTES } from './tiles.ts';

/** Where a log's files come from. */
export interface Source {
  /** The bytes at a path below the log, or undefined if there is nothing. Throws Finding `unread` if nobody can tell. */
  read(path: string): Promise<Buffer | undefined>;
  /** Every file below the log, where that can be known; a server lists nothing. */
  list?(): Promise<readonly string[]>;
}

const TIMEOUT_MS = 30_000;

/** A folder, or an address that starts with https:// (http:// on loopback only). Throws Finding `usage` or `unread`. */
export async function openSource(where: string): Promise<Source> {
  if (/^https?:\/\//.test(where)) return server(where);
  const found = await lstat(where).catch(() => undefined);
  if (!found?.isDirectory())
    throw new Finding('unread', 'There is no folder with this name. Give the log’s folder or its https address.');
  return {
    async read(path) {
      const file = join(where, path);
      const facts = await lstat(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        throw new Finding('unread', `${path} cannot be read (${error.code}).`);
      });
      // A link is not followed: what it leads to is not part of the log.
      if (!facts?.isFile() || facts.size > FILE_BYTES) return undefined;
      return readFile(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw new Finding('unread', `${path} cannot be read (${error.code}).`);
      });
    },
    async list() {
      const all = await readdir(where, { recursive: true, withFileTypes: true });
      return all
        .filter((one) => !one.isDirectory())
        .map((one) => relative(where, join(one.parentPath, one.name)).split(sep).join('/'))
        .sort();
    },
  };
}

function server(where: string): Source {
  const base = URL.canParse(where) ? new URL(where.endsWith('/') ? where : `${where}/`) : undefined;
  const near = ['localhost', '127.0.0.1', '[::1]'].includes(base?.hostname ?? '');
  if (base === undefined || base.search !== '' || base.hash !== '' || (base.protocol === 'http:' && !near))
    throw new Finding('usage', 'A log is read from https:// addresses, or http:// on this machine.');
  return {
    async read(path) {
      const answer = await fetch(new URL(path, base), {
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch(() => {
        throw new Finding('unread', `${path} cannot be fetched: no connection, or a redirect.`);
      });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200 || answer.body === null)
        throw new Finding('unread', `${path} cannot be fetched: status ${answer.status}.`);
      const parts: Uint8Array[] = [];
      let bytes = 0;
      try {
        for await (const part of answer.body) {
          parts.push(part);
          bytes += part.byteLength;
          if (bytes > FILE_BYTES) return undefined;
        }
      } catch {
        throw new Finding('unread', `${path} cannot be fetched: the connection broke.`);
      }
      return Buffer.concat(parts);
    },
  };
}
