import { canonicalJson, type Json, sha256 } from '#base';

/**
 * What a command does to older ones for the same device that the device has not fetched. Its key says what it is about:
 * a profile's identifier, an app; only commands with the same key meet, except for those in `ends`.
 */
export interface SupersedeRule {
  /** Older commands of these verbs with the same key give way: the newer wish counts. */
  readonly over: readonly string[];
  /** Older commands of these verbs give way whatever their key: they would be pointless. */
  readonly ends: readonly string[];
}

const PAIRS = [
  ['InstallProfile', 'RemoveProfile'],
  ['InstallApplication', 'RemoveApplication'],
  ['EnableLostMode', 'DisableLostMode'],
] as const;

const READS = [
  ...['DeviceInformation', 'SecurityInfo', 'ProfileList', 'InstalledApplicationList', 'CertificateList'],
  ...['ManagedApplicationList', 'AvailableOSUpdates', 'OSUpdateStatus', 'DeviceLocation', 'Restrictions'],
];
/** Asking twice for these is asking once; the newest stays, because its parameters may differ. */
const ONCE = [
  ...['DeviceLock', 'ClearPasscode', 'DeclarativeManagement', 'Settings', 'ScheduleOSUpdate', 'RestartDevice'],
  ...['ShutDownDevice', 'PlayLostModeSound'],
];
/** Verbs that contain a loss: dispatched before everything else, and not delivered to a device that came back. */
export const CONTAINING: readonly string[] = ['DeviceLock', 'EnableLostMode', 'EraseDevice'];

const NONE: SupersedeRule = { over: [], ends: [] };

// Of a question asked twice the newer one stays: it is answered after whatever changes were queued in between.
const RULES: ReadonlyMap<string, SupersedeRule> = new Map<string, SupersedeRule>([
  ...PAIRS.flatMap((pair) => pair.map((verb) => [verb, { over: pair, ends: [] }] as const)),
  ...[...READS, ...ONCE].map((verb) => [verb, { over: [verb], ends: [] }] as const),
  [
    'EraseDevice',
    {
      over: ['EraseDevice'],
      // A lock that was asked for stays: it protects until the erasure is fetched and done.
      ends: [
        ...READS,
        ...PAIRS[0],
        ...PAIRS[1],
        ...['Settings', 'ScheduleOSUpdate', 'DeclarativeManagement', 'RestartDevice', 'ClearPasscode'],
      ],
    },
  ],
]);

/** The rule of a verb; one that is not listed, such as a raw command, supersedes nothing. */
export const supersedeRule = (verb: string): SupersedeRule => RULES.get(verb) ?? NONE;

/** Whether a command that the device has not fetched gives way to a newer one for the same device. */
export function givesWay(
  older: { readonly verb: string; readonly key: string },
  newer: { readonly verb: string; readonly key: string },
): boolean {
  const rule = supersedeRule(newer.verb);
  return rule.ends.includes(older.verb) || (rule.over.includes(older.verb) && older.key === newer.key);
}

/** A command's key: its identifier where it has one, else a hash of its parameters; empty without parameters. */
export function commandKey(params: Readonly<Record<string, Json | undefined>>, identifier?: string): string {
  if (identifier !== undefined) return identifier.slice(0, 256);
  const given = Object.entries(params).filter((entry): entry is [string, Json] => entry[1] !== undefined);
  return given.length === 0
    ? ''
    : sha256(canonicalJson(Object.fromEntries(given)))
        .toString('hex')
        .slice(0, 16);
}
