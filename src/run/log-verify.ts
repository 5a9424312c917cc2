import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LogReader, type LogReport, verifyLog } from '#proof';

/** Reads a log's files from a folder. Links and other special files are listed and thereby refused. */
export function logFolder(folder: string): LogReader {
  return {
    async read(path) {
      try {
        return await readFile(join(folder, path));
      } catch {
        return undefined;
      }
    },
    async list() {
      const all = await readdir(folder, { recursive: true, withFileTypes: true });
      return all
        .filter((one) => !one.isDirectory())
        .map((one) => relative(folder, join(one.parentPath, one.name)).split(sep).join('/'))
        .sort();
    },
  };
}

/** A busy log moves on while it is read; on a busy machine several times. */
const ATTEMPTS = 40;
const PAUSE_MS = 50;

/**
 * Verifies a whole log folder against its verifier key. A log that is being written may change under the reader: if
 * the checkpoint moved while something looked wrong, everything is verified again.
 */
export async function verifyLogDir(folder: string, options: { readonly verifierKey: string }): Promise<LogReport> {
  const reader = logFolder(folder);
  for (let attempt = 1; ; attempt++) {
    const before = await reader.read('checkpoint');
    const report = await verifyLog(reader, options.verifierKey);
    const after = await reader.read('checkpoint');
    const moved = before !== undefined && after !== undefined && Buffer.compare(before, after) !== 0;
    if (report.ok || !moved || attempt === ATTEMPTS) return report;
    await sleep(PAUSE_MS);
  }
}
