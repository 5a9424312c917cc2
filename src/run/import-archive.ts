import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NanoRow } from '#fleet';
import { RunError } from './config.ts';

/**
 * Devices of a server that kept no table of them (MicroMDM), one folder each: `authenticate.plist` and `tokenupdate.plist` as
 * the device sent them, `certificate.pem` as it was issued. They are read like NanoMDM's rows, by the parser that reads
 * phones; a folder that lacks something is left out by name. Throws RunError.
 */
export function readArchive(dir: string): NanoRow[] {
  let folders: Dirent[];
  try {
    folders = readdirSync(dir, { withFileTypes: true }).filter((one) => one.isDirectory());
  } catch (cause) {
    throw new RunError('usage', 'The archive cannot be read: it has one folder a device.', { cause });
  }
  return folders
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name }) => {
      const text = (file: string) => read(join(dir, name, file));
      return {
        ...{ id: name, type: 'Device', enabled: true, sha256: null },
        ...{ identity_cert: text('certificate.pem'), authenticate: text('authenticate.plist') ?? '' },
        ...{ token_update: text('tokenupdate.plist'), unlock_token: null, bootstrap_token_b64: null },
      };
    });
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw new RunError('usage', 'A file of the archive cannot be read.', { cause });
  }
}
