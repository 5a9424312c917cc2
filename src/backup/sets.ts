/** Three backups with three owners and three places: no two of them together open anything. */
export const SETS = ['database', 'ledger', 'sealer'] as const;
export type SetName = (typeof SETS)[number];

/** How often, how long, how old before it is an alarm. Hours and days. */
export interface Policy {
  readonly everyHours: number;
  readonly keepDays: number;
  readonly alarmHours: number;
}

/** The ledger's is short: what a lock opened is gone for good when the last copy of the lock is. */
export const DEFAULT_POLICY: { readonly [set in SetName]: Policy } = {
  database: { everyHours: 6, keepDays: 90, alarmHours: 26 },
  ledger: { everyHours: 6, keepDays: 30, alarmHours: 26 },
  sealer: { everyHours: 24, keepDays: 90, alarmHours: 50 },
};
/** Erasure is complete when no copy of the lock is left: never longer than this. */
export const LEDGER_DAYS = 30;

export interface Kept {
  readonly name: string;
  readonly bytes: number;
}

/** `<set>-<organisation>-<time>-<run>.age`. Sorts by time. */
export const fileNameOf = (set: SetName, org: string, at: number, run: string): string =>
  `${set}-${org}-${new Date(at).toISOString().replace(/[-:]|\.\d+/g, '')}-${run.slice(-8)}.age`;

/** When a file of this set was begun, by its name; undefined for another's. */
export function timeOf(set: SetName, org: string, name: string): number | undefined {
  if (!name.startsWith(`${set}-${org}-`)) return undefined;
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{8}\.age$/.exec(
    name.slice(set.length + org.length + 2),
  );
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** Which files have outlived their time. The newest stays whatever its age: a place without any backup is worse. */
export function outlived(set: SetName, org: string, names: readonly string[], keepDays: number, now: number): string[] {
  const dated = names
    .flatMap((name) => {
      const at = timeOf(set, org, name);
      return at === undefined ? [] : [{ name, at }];
    })
    .sort((a, b) => b.at - a.at);
  return dated
    .slice(1)
    .filter(({ at }) => at < now - keepDays * 86_400_000)
    .map(({ name }) => name);
}
