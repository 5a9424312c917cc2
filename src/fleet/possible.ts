import type { Queryable } from '#store';
import { availableSince, commandSpec, compareVersions, type Verb } from '#wire';
import { FleetError } from './error.ts';
import type { CommandParams } from './verbs.ts';

interface Facts {
  readonly os_version: string | null;
  readonly supervised: boolean | null;
  readonly product_name: string | null;
}

/**
 * Refuses what reported facts make impossible: a command for supervised devices to one that is not, a command of a later
 * iOS to an older one, a command for shared iPads to an iPhone. What is not known refuses nothing. Throws `impossible`.
 */
export async function onlyIfPossible(
  t: Queryable,
  verb: Verb,
  params: CommandParams,
  devices: readonly string[],
): Promise<void> {
  const spec = commandSpec(verb);
  const since = availableSince(verb, params.args);
  if (spec === undefined || since === undefined) return;
  const { rows } = await t.query<Facts>(
    'select os_version, supervised, product_name from fleet.device where handle = any($1)',
    [devices],
  );
  const why: Record<string, number> = {};
  for (const facts of rows) {
    const reason = obstacle(facts, { since, supervised: spec.supervised === true, shared: spec.sharedIpad === true });
    if (reason !== undefined) why[reason] = (why[reason] ?? 0) + 1;
  }
  const count = Object.values(why).reduce((sum, n) => sum + n, 0);
  if (count === 0) return;
  const reasons = Object.entries(why).map(([reason, n]) => `${n} ${reason}`);
  throw new FleetError(
    'impossible',
    `${verb} cannot work on ${count} of ${devices.length} ${devices.length === 1 ? 'device' : 'devices'}: ${reasons.join(', ')}. Nothing was sent.`,
    { status: 409 },
  );
}

/** Why a device cannot do it, in words that follow a number; undefined where nothing known speaks against it. */
function obstacle(
  { os_version: version, supervised, product_name: product }: Facts,
  needs: { readonly since: string; readonly supervised: boolean; readonly shared: boolean },
): string | undefined {
  if (needs.supervised && supervised === false) return 'not supervised';
  if (needs.shared && product?.startsWith('iPhone')) return 'not an iPad';
  const judged = product !== null && /^(iPhone|iPad|iPod)/.test(product) && /^\d+(\.\d+)*$/.test(version ?? '');
  if (judged && compareVersions(version!, needs.since) < 0) return `older than iOS ${needs.since}`;
  return undefined;
}
