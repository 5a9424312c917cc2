import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { BartizanError } from '#base';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

export interface PageFile {
  readonly bytes: Buffer;
  readonly type: string;
  /** Named by its content, so it never changes. */
  readonly immutable: boolean;
}

/**
 * The built pages, read once at start: what is asked for later is looked up, never opened, so no path leads anywhere else.
 * Throws BartizanError `not-built`.
 */
export function readPages(dir: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  try {
    for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
      const type = TYPES[extname(entry.name)];
      if (!entry.isFile() || type === undefined) continue;
      const path = join(entry.parentPath, entry.name);
      const url = path.slice(dir.length).replaceAll('\\', '/');
      files.set(url, { bytes: readFileSync(path), type, immutable: url.startsWith('/assets/') });
    }
  } catch (cause) {
    throw notBuilt(cause);
  }
  if (!files.has('/index.html')) {
    throw notBuilt();
  }
  return files;
}

const notBuilt = (cause?: unknown): BartizanError =>
  new BartizanError('not-built', "The pages are not built. Run 'npm ci' and start again.", { status: 500, cause });
