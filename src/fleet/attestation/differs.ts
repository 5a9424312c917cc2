/** A version of a system as a device or an attestation says it, with the moment that it was true. */
export interface SaidVersion {
  readonly version: string;
  readonly at: number;
}

/**
 * Whether two sayings about one device's system contradict each other. Systems only grow: the later one must not be older. A
 * device that was updated between the two is none that lies.
 */
export function contradicts(attested: SaidVersion, reported: SaidVersion): boolean {
  const order = compareVersions(attested.version, reported.version);
  return reported.at > attested.at ? order > 0 : order < 0;
}

/** By their numbers; what is no version is the smallest. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [numbersOf(a), numbersOf(b)];
  for (let i = 0; i < Math.max(x.length, y.length); i += 1) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

const numbersOf = (version: string): number[] =>
  /^[0-9]{1,6}(\.[0-9]{1,6}){0,5}/.exec(version)?.[0].split('.').map(Number) ?? [];
