import { type Pool, tx } from '#store';
import { VERBS, type Verb } from '#wire';
import { stateIntent } from '../intent.ts';

const BATCH = 5_000;
const ASKED = [
  ...['DeviceInformation', 'SecurityInfo', 'ProfileList', 'InstalledApplicationList', 'CertificateList'],
  'ManagedApplicationList',
];
/** Of what a plan can name, what this version can send. */
const KINDS = VERBS.filter((verb) => ASKED.includes(verb));

/**
 * Asks devices whose turn it is for their facts, by ordinary signed commands: never for what is pending already. The turns
 * move in the transaction that states the intents, so a crash asks neither twice nor never. Returns how many were asked.
 */
export async function askInventory(pool: Pool, now: number, batch = BATCH): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ kind: Verb; devices: string[] }>(
      'select kind, devices from fleet.take_inventory_turns($1, $2)',
      [KINDS, batch],
    );
    let asked = 0;
    for (const { kind, devices } of rows) {
      await stateIntent(t, {
        ...{ verb: kind, devices, params: {}, requester: 'core', purpose: 'Scheduled inventory', now },
      });
      asked += devices.length;
    }
    return asked;
  });
}

/** Takes away history that is older than is kept. */
export async function pruneHistory(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>('select fleet.prune_history() as n');
  return rows[0]!.n;
}
