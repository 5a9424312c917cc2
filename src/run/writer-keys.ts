import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '#base';
import { type PublicKeys, withOrgKey, withTransitKey } from '#seal';
import type { Running } from './process.ts';

/** How long a writer may go on sealing to a key after another has come into force. */
const EVERY_MS = 2_000;

/**
 * The public keys as a writer uses them: `inner` follows what both guards signed, `outer` what the ledger signed, whoever brings
 * it, and neither goes back; the last notices are kept in the process's own folder. A database that withholds a notice leaves
 * the writer where it was.
 */
export async function followKeys<K extends PublicKeys>(options: {
  readonly keys: K;
  readonly state: string;
  readonly read: () => Promise<unknown>;
  readonly readTransit: () => Promise<unknown>;
  readonly running: Pick<Running, 'onStop'>;
  readonly log: Logger;
}): Promise<K> {
  const { state, read, readTransit, running, log } = options;
  const inner = followed(options.keys, join(state, 'organisation-notice.json'), withOrgKey);
  const outer = followed(options.keys, join(state, 'transit-notice.json'), withTransitKey);
  const look = async () => {
    if (inner.take(await read())) log.info('values are sealed to a new organisation key', { number: inner.number });
    if (outer.take(await readTransit()))
      log.info('values travel under a new key of the ledger', { number: outer.number });
  };
  await look();
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.error('which keys are in force could not be asked', error));
  }, EVERY_MS);
  timer.unref();
  running.onStop(() => clearInterval(timer));
  return Object.defineProperties(
    { ...options.keys },
    {
      inner: { enumerable: true, get: () => inner.keys.inner },
      third: { enumerable: true, get: () => inner.keys.third },
      outer: { enumerable: true, get: () => outer.keys.outer },
    },
  );
}

/** Keys that follow the notices of one kind; the last good one is in the file. */
function followed<K extends PublicKeys>(founding: K, file: string, join: typeof withOrgKey) {
  let { keys, number } = join(founding, existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null);
  return {
    get keys() {
      return keys;
    },
    get number() {
      return number;
    },
    /** True if the notice is newer and good. */
    take(notice: unknown): boolean {
      const next = join(founding, notice, number);
      if (next.number === number) return false;
      // Workers of one process share the folder: each writes the whole file.
      writeFileSync(`${file}.${process.pid}`, JSON.stringify(notice), { mode: 0o600 });
      renameSync(`${file}.${process.pid}`, file);
      ({ keys, number } = next);
      return true;
    },
  };
}
