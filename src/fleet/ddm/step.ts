import type { KeyObject } from 'node:crypto';
import type { Pool } from '#store';
import { refreshDevices, refreshLists } from './lists.ts';
import { nudgeDevices } from './nudge.ts';
import { signProposed } from './sign.ts';

/**
 * Core's work on declarations, in the order that changes travel: sign what was proposed, compute lists whose sets changed,
 * give devices whose sets changed their list, tell whoever has something new. Each step is a transaction that takes its
 * work away; a crash between two leaves the later one's work in its table. Returns how much was done.
 */
export async function stepDeclarations(
  pool: Pool,
  options: { readonly signKey: KeyObject; readonly laneOpen: boolean },
): Promise<number> {
  // A closed lane holds back everything that would reach devices, not only commands.
  if (!options.laneOpen) return 0;
  const signed = await signProposed(pool, options.signKey);
  const sets = await refreshLists(pool, options.signKey);
  const devices = await refreshDevices(pool, options.signKey);
  // Devices by the thousand first all get their lists, so that one command tells them all.
  const told = devices > 0 ? 0 : await nudgeDevices(pool, options.signKey);
  return signed + sets + devices + told;
}
