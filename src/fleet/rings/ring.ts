import { sha256 } from '#base';

/** One ring of a rollout: a share of the devices, and how long it is watched before the next ring opens. */
export interface Ring {
  /** Of all devices, those of earlier rings included; 1 to 100. */
  readonly percent: number;
  /** At least so many devices, if there are as many. */
  readonly atLeast: number;
  readonly soakHours: number;
}

export const DEFAULT_PLAN: readonly Ring[] = [
  { percent: 1, atLeast: 5, soakHours: 24 },
  { percent: 10, atLeast: 5, soakHours: 24 },
  { percent: 100, atLeast: 0, soakHours: 24 },
];

/** Where a device stands in a rollout, 0 inclusive to 1 exclusive: always the same, and another in each rollout. */
export function ringPosition(rollout: string, device: string): number {
  return sha256(`bartizan ring v1\n${rollout}\n${device}`).readUIntBE(0, 6) / 2 ** 48;
}

/**
 * The devices that a ring holds. Grows with the ring and never loses a device by that; a device that joins the fleet
 * moves nobody of a percentage out.
 */
export function ringMembers(rollout: string, devices: readonly string[], ring: Ring): string[] {
  if (ring.percent >= 100) return [...devices];
  const placed = devices
    .map((device) => ({ device, at: ringPosition(rollout, device) }))
    .sort((a, b) => a.at - b.at || (a.device < b.device ? -1 : 1));
  return placed.filter(({ at }, rank) => at < ring.percent / 100 || rank < ring.atLeast).map(({ device }) => device);
}

/** What is wrong with a plan, in words; undefined if it may be used. A stolen account must not roll out to all at once. */
export function planFault(plan: unknown): string | undefined {
  if (!Array.isArray(plan) || plan.length < 2 || plan.length > 6) return 'a plan has 2 to 6 rings';
  let before: Ring | undefined;
  for (const ring of plan as Ring[]) {
    const { percent, atLeast, soakHours } = ring ?? {};
    if (![percent, atLeast, soakHours].every((value) => typeof value === 'number' && Number.isFinite(value)))
      return 'a ring has a percentage, a least number and hours of soak';
    if (percent <= 0 || percent > 100 || atLeast < 0 || atLeast > 100) return 'a ring holds 1 to 100 percent';
    if (soakHours < 1 || soakHours > 24 * 14) return 'a soak lasts 1 hour to 14 days';
    if (before !== undefined && (percent <= before.percent || (atLeast > 0 && before.atLeast > atLeast)))
      return 'each ring holds more than the one before';
    before = ring;
  }
  const [first] = plan as Ring[];
  if (first!.percent > 10) return 'the first ring holds at most 10 percent';
  return before!.percent === 100 ? undefined : 'the last ring holds all devices';
}
