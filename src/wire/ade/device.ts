import { WireError } from '../error.ts';

/** A device as the assignment service tells of it. Who assigned it (an e-mail address) and asset tags are dropped here. */
export interface AdeDevice {
  readonly serial: string;
  readonly model: string | null;
  readonly description: string | null;
  readonly color: string | null;
  readonly os: string | null;
  readonly family: string | null;
  readonly profileStatus: string;
  readonly profileUuid: string | null;
  /** `added`, `modified` or `deleted` in a sync; absent in a full fetch. */
  readonly op: 'added' | 'modified' | 'deleted' | null;
  /** Milliseconds; 0 if it was not said. */
  readonly opAt: number;
}

export interface AdePage {
  readonly cursor: string;
  readonly more: boolean;
  readonly devices: readonly AdeDevice[];
}

type Json = Readonly<Record<string, unknown>>;

/** A text that a table takes, cut to `max`; null where there is none. */
const short = (value: unknown, max = 64): string | null =>
  typeof value === 'string' && value !== '' ? value.replaceAll('\0', '').slice(0, max).toWellFormed() : null;

/** Milliseconds; 0 for a time that is none, or none that this century knows. */
const timeOf = (value: unknown): number => {
  const at = typeof value === 'string' ? Date.parse(value) : 0;
  return at > 0 && at < Date.UTC(2100) ? at : 0;
};

/** It goes back to the service as it came, and into a table until then. */
const isCursor = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= 4096 && value.isWellFormed() && !value.includes('\0');

/** Reads one page of `/server/devices` or `/devices/sync`. Throws WireError `ade` if it is not one. */
export function parseAdePage(value: unknown): AdePage {
  const page = (value ?? {}) as Json;
  const cursor = page['cursor'];
  const devices = page['devices'] ?? [];
  if (!isCursor(cursor) || !Array.isArray(devices) || devices.length > 1000) {
    throw new WireError('ade', 'The answer of the device assignment service is not a page of devices.');
  }
  return { cursor, more: page['more_to_follow'] === true, devices: devices.flatMap(parseAdeDevice) };
}

/** One device, or none if it has no serial number that we could know it by. */
function parseAdeDevice(value: unknown): readonly AdeDevice[] {
  const one = (value ?? {}) as Json;
  const serial = one['serial_number'];
  if (typeof serial !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(serial)) return [];
  const op = one['op_type'];
  return [
    {
      serial,
      model: short(one['model']),
      description: short(one['description'], 128),
      color: short(one['color']),
      os: short(one['os'], 32),
      family: short(one['device_family'], 32),
      profileStatus: short(one['profile_status'], 16) ?? 'unknown',
      profileUuid: short(one['profile_uuid']),
      op: op === 'added' || op === 'modified' || op === 'deleted' ? op : null,
      opAt: timeOf(one['op_date']),
    },
  ];
}
