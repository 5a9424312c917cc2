import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PublicKeys } from '#seal';
import type { Home } from './home.ts';
import { initProcess } from './init.ts';

/**
 * Gives an installation from before messages its courier's key, once; the guards take it from the public keys at this start.
 * Stopped in between, the next start finds the key and publishes it. Returns the keys.
 */
export async function mustHaveCourier(home: Home, keys: PublicKeys): Promise<PublicKeys> {
  if (keys.courier !== undefined) return keys;
  const whole = { ...keys, ...(await initProcess(home, 'courier', '')) } as PublicKeys;
  const file = join(home.dir, 'public', 'keys.json');
  writeFileSync(`${file}.new`, JSON.stringify(whole), { mode: 0o644 });
  renameSync(`${file}.new`, file);
  return whole;
}
