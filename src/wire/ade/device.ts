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

const short = (value: unknown, max = 64): string | null =>
  typeof value === 'string' && value !== '' ? value.slice(0, max) : null;

/** Reads one page of `/server/devices` or `/devices/sync`. Throws WireError `ade` if it is not one. */
export function parseAdePage(value: unknown): AdePage {
  const page = (value ?? {}) as Json;
  const cursor = page['cursor'];
  const devices = page['devices'] ?? [];
  if (typeof cursor !== 'string' || cursor.length > 4096 || !Array.isArray(devices) || devices.length > 1000) {
    throw new WireError('ade', 'The answer of the device assignment service is not a page of devices.');
  }
  return { cursor, more: page['more_to_follow'] === true, devices: devices.flatMap(parseAdeDevice) };
}

/** One device, or none if it has no serial number that we could know it by. */
export function parseAdeDevice(value: unknown): readonly AdeDevice[] {
  const one = (value ?? {}) as Json;
  const serial = one['serial_number'];
  if (typeof serial !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(serial)) return [];
  const op = one['op_type'];
  const at = typeof one['op_date'] === 'string' ? Date.parse(one['op_date']) : 0;
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
      opAt: Number.isNaN(at) ? 0 : at,
    },
  ];
}
