import { setTimeout as sleep } from 'node:timers/promises';
import { uuidv7 } from '#base';
import type { Pool } from '#store';

/** The one service whose tokens are signed here. */
export const ACCOUNT_SERVICE = 'com.apple.maid';
const WAIT_MS = 10_000;

/** A token that core signed for a device, or undefined: it may have none, asks too often, or core is not there. */
export async function serviceToken(pool: Pool, handle: string, service: string): Promise<string | undefined> {
  const id = uuidv7();
  const { rows } = await pool.query<{ asked: boolean }>('select edge.ask_service_token($1, $2, $3) as asked', [
    ...[id, handle, service],
  ]);
  if (rows[0]?.asked !== true) return undefined;
  for (let waited = 0, step = 20; waited < WAIT_MS; waited += step, step = Math.min(step * 2, 320)) {
    await sleep(step);
    const taken = await pool.query<{ state: string; token: string | null }>(
      'select * from edge.take_service_token($1)',
      [id],
    );
    if (taken.rows[0]?.state !== 'asked') return taken.rows[0]?.token ?? undefined;
  }
  return undefined;
}
