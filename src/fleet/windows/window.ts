/** A weekly window by the wall clock of a place. */
export interface MaintenanceWindow {
  /** IANA name, such as `Europe/Brussels`. */
  readonly timeZone: string;
  /** Days on which it opens; 0 is Monday. */
  readonly days: readonly number[];
  /** Minutes after midnight, 0 to 1439. */
  readonly fromMinute: number;
  /** How long by the same clock, 15 to 1440; may reach into the next day. */
  readonly minutes: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAY = 1_440;
const formats = new Map<string, Intl.DateTimeFormat>();

/** Whether this is a time zone that this installation knows. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone, calendar: 'iso8601', numberingSystem: 'latn', hourCycle: 'h23' },
      ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
    });
    formats.set(timeZone, format);
  }
  return format;
}

/** The wall clock as if it were UTC, in milliseconds, to the minute. */
function wallClock(timeZone: string, at: number): number {
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(at)) part[type] = Number(value);
  return Date.UTC(part['year']!, part['month']! - 1, part['day']!, part['hour']!, part['minute']!);
}

const weekday = (wall: number): number => (new Date(wall).getUTCDay() + 6) % 7;

/** Whether a change may go out at `at`: the wall clock stands within one of the windows. */
export function isOpen(windows: readonly MaintenanceWindow[], at: number): boolean {
  return windows.some(({ timeZone, days, fromMinute, minutes }) => {
    const wall = wallClock(timeZone, at);
    const day = weekday(wall);
    const minute = Math.floor((wall % DAY_MS) / MINUTE_MS);
    if (days.includes(day) && minute >= fromMinute && minute < fromMinute + minutes) return true;
    return days.includes((day + 6) % 7) && minute + DAY < fromMinute + minutes;
  });
}

/**
 * The first whole minute from `at` on when one of the windows is open; `at` itself if one is. A window opens when its
 * wall-clock time comes, twice if the clock is set back over it, and at the change itself if the clock jumps into it.
 */
export function nextOpening(windows: readonly MaintenanceWindow[], at: number): number | undefined {
  if (isOpen(windows, at)) return at;
  const candidates = windows.flatMap((window) => openings(window, at)).filter((one) => one > at);
  return candidates.sort((a, b) => a - b).find((one) => isOpen(windows, one));
}

/** Every instant within nine days at which this window may open. */
function openings({ timeZone, fromMinute }: MaintenanceWindow, at: number): number[] {
  const start = Math.floor(at / MINUTE_MS) * MINUTE_MS - DAY_MS;
  const found: number[] = [];
  const offsets = new Set<number>();
  for (let day = 0; day <= 10; day += 1) {
    const from = start + day * DAY_MS;
    const [before, after] = [offsetAt(timeZone, from), offsetAt(timeZone, from + DAY_MS)];
    offsets.add(before).add(after);
    if (before !== after) found.push(changeBetween(timeZone, from, from + DAY_MS));
  }
  const midnight = Math.floor(wallClock(timeZone, start) / DAY_MS) * DAY_MS;
  for (let day = 0; day <= 10; day += 1)
    for (const offset of offsets) found.push(midnight + day * DAY_MS + fromMinute * MINUTE_MS - offset);
  return found;
}

const offsetAt = (timeZone: string, at: number): number =>
  wallClock(timeZone, at) - Math.floor(at / MINUTE_MS) * MINUTE_MS;

/** The minute at which the offset changes, between two instants with different offsets. */
function changeBetween(timeZone: string, from: number, to: number): number {
  const before = offsetAt(timeZone, from);
  let [low, high] = [Math.floor(from / MINUTE_MS), Math.floor(to / MINUTE_MS)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(timeZone, middle * MINUTE_MS) === before) low = middle;
    else high = middle;
  }
  return high * MINUTE_MS;
}
