import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeySettings, parseKeySettings } from '#keeper';
import { RunError } from './config.ts';
import type { Home } from './home.ts';

/** Whether these settings need the keeper's process: tokens, key services and shares do. */
export const needsKeeper = (keys: KeySettings | undefined): boolean =>
  keys !== undefined && [keys.pkcs11, keys.kms, keys.quorum].some((one) => one !== undefined);

const fileOf = (home: Home): string => join(home.dir, 'supervisor', 'key-settings.json');

/** Where organisation keys live in this installation; undefined: in the sealer's files. */
export function readKeySettings(home: Home): KeySettings | undefined {
  return existsSync(fileOf(home)) ? parseKeySettings(JSON.parse(readFileSync(fileOf(home), 'utf8'))) : undefined;
}

/**
 * Takes settings from a file for later starts. Settings of sources that hold a key stay if the file does not name them: without
 * them that key could not be had. Throws RunError, KeeperError.
 */
export function useKeySettings(home: Home, file: string): KeySettings {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RunError('usage', 'The key settings cannot be read or are not JSON.', { cause });
  }
  const settings = { ...readKeySettings(home), ...parseKeySettings(given) };
  if (!existsSync(join(home.dir, 'supervisor', 'founded'))) {
    throw new RunError('usage', 'This is no installation. Start it once, or give its --home.');
  }
  writeFileSync(`${fileOf(home)}.new`, JSON.stringify(settings), { mode: 0o600 });
  chmodSync(`${fileOf(home)}.new`, 0o600);
  renameSync(`${fileOf(home)}.new`, fileOf(home));
  return settings;
}
