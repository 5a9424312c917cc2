import type { Phone } from './phone.ts';

/** What the declarations that are switched on make a phone install by when, or undefined if it has that or a newer one. */
export function updateWanted(phone: Phone): { version: string; build: string; deadline: string } | undefined {
  const found = phone.ddm
    .active()
    .filter(({ type }) => type === 'com.apple.configuration.softwareupdate.enforcement.specific')
    .map(({ payload }) => ({
      version: String(payload['TargetOSVersion']),
      build: String(payload['TargetBuildVersion']),
      deadline: String(payload['TargetLocalDateTime']),
    }))
    .sort((a, b) => compare(b.version, a.version))[0];
  return found !== undefined && compare(found.version, phone.state.osVersion) > 0 ? found : undefined;
}

/** Gets as far with the wanted update as `until` says, and reports it. Returns whether there was one. */
export async function followUpdate(phone: Phone, until: 'downloading' | 'failed' | 'installed'): Promise<boolean> {
  const wanted = updateWanted(phone);
  if (wanted === undefined) return false;
  const pending = { 'os-version': wanted.version, 'build-version': wanted.build };
  if (until === 'installed') {
    Object.assign(phone.state, { osVersion: wanted.version, buildVersion: wanted.build });
  }
  Object.assign(phone.facts, {
    'softwareupdate.install-state': until === 'installed' ? 'none' : until,
    'softwareupdate.install-reason': { reason: until === 'installed' ? [] : ['declaration'] },
    'softwareupdate.pending-version': until === 'installed' ? { 'os-version': '', 'build-version': '' } : pending,
    'softwareupdate.failure-reason':
      until === 'failed'
        ? { count: 1, reason: 'This simulated device says so', timestamp: new Date().toISOString() }
        : { count: 0 },
  });
  await phone.ddm.report({ full: false });
  return true;
}

function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number)) as [number[], number[]];
  for (let at = 0; at < 3; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
