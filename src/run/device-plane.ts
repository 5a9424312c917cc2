import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from './config.ts';
import type { Home } from './home.ts';

/** What edge answers where Apple leaves it to the organisation; all of it can be left out. */
export interface DevicePlaneSettings {
  /** Whether users of a device may have a channel of their own by UserAuthenticate (no). */
  readonly userAuthenticate?: boolean;
  /** Whether a bootstrap token that was released on glass is handed to its device (yes). */
  readonly bootstrapToken?: boolean;
  /** SHA-1, DES and 3DES from devices: accepted and counted (the default), or refused. */
  readonly legacy?: 'count' | 'refuse';
  /** App packages that go out at once (24), and MiB a second for all of them together (32). */
  readonly downloadsAtOnce?: number;
  readonly downloadMibPerSecond?: number;
}

const wholeTo = (value: unknown, most: number) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most;

const KNOWN: Readonly<Record<keyof DevicePlaneSettings, (value: unknown) => boolean>> = {
  userAuthenticate: (value) => typeof value === 'boolean',
  bootstrapToken: (value) => typeof value === 'boolean',
  legacy: (value) => value === 'count' || value === 'refuse',
  downloadsAtOnce: (value) => wholeTo(value, 1_000),
  downloadMibPerSecond: (value) => wholeTo(value, 10_000),
};

/** Checks settings from a file. Throws RunError `config` on what is not understood. */
export function checkDevicePlane(value: unknown): DevicePlaneSettings {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RunError('config', 'The settings of the device plane are an object.');
  for (const [name, one] of Object.entries(value)) {
    if (!Object.hasOwn(KNOWN, name)) throw new RunError('config', `The device plane has no setting ${name}.`);
    if (!KNOWN[name as keyof DevicePlaneSettings](one))
      throw new RunError('config', `The device plane’s setting ${name} has a value that it cannot have.`);
  }
  return value as DevicePlaneSettings;
}

/** What the next start will write into the processes' configurations. */
interface Saved {
  readonly devicePolicy?: unknown;
  readonly signProfiles?: boolean;
}

/**
 * Changes what is given in the instance's settings and leaves the rest; it holds from the next start. Returns what stands
 * there now. Throws RunError.
 */
export function setDevicePlane(
  home: Home,
  change: DevicePlaneSettings & { readonly signProfiles?: boolean },
): DevicePlaneSettings & { readonly signProfiles: boolean } {
  const file = join(home.dir, 'supervisor', 'instance.json');
  const { signProfiles, ...policy } = change;
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved;
    const devicePolicy = { ...checkDevicePlane(saved.devicePolicy ?? {}), ...checkDevicePlane(policy) };
    const next = { ...saved, devicePolicy, ...(signProfiles === undefined ? {} : { signProfiles }) };
    writeFileSync(`${file}.new`, JSON.stringify(next), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return {
      ...{ userAuthenticate: false, bootstrapToken: true, legacy: 'count', ...devicePolicy },
      signProfiles: next.signProfiles ?? true,
    };
  } catch (cause) {
    if (cause instanceof RunError) throw cause;
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
}
