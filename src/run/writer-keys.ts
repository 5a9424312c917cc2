import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '#base';
import { type PublicKeys, withOrgKey } from '#seal';
import type { Running } from './process.ts';

/** How long a writer may go on sealing to a key after another has come into force. */
const EVERY_MS = 2_000;

/**
 * The public keys as a writer uses them: `inner` follows what both guards signed, whoever brings it, and never goes back; the last
 * notice is kept in the process's own folder. A database that withholds a notice leaves the writer where it was.
 */
export async function followKeys<K extends PublicKeys>(options: {
  readonly keys: K;
  readonly state: string;
  readonly read: () => Promise<unknown>;
  readonly running: Pick<Running, 'onStop'>;
  readonly log: Logger;
}): Promise<K> {
  const { state, read, running, log } = options;
  const file = join(state, 'organisation-notice.json');
  let { keys, number } = withOrgKey(options.keys, existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null);
  const look = async () => {
    const notice = await read();
    const next = withOrgKey(options.keys, notice, number);
    if (next.number === number) return;
    // Workers of one process share the folder: each writes the whole file.
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(notice), { mode: 0o600 });
    renameSync(`${file}.${process.pid}`, file);
    ({ keys, number } = next);
    log.info('values are sealed to a new organisation key', { number });
  };
  await look();
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.error('which organisation key is in force could not be asked', error));
  }, EVERY_MS);
  timer.unref();
  running.onStop(() => clearInterval(timer));
  return Object.defineProperty({ ...options.keys }, 'inner', { enumerable: true, get: () => keys.inner });
}
