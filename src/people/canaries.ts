import { HANDLE, toBase64url } from '#base';
import { canaryAddress, canaryTag, type GuardClient, GuardError, type PublicKeys, shape } from '#seal';
import type { Pool } from '#store';
import { PeopleError } from './error.ts';

const UNHEARD = ['unreachable', 'timeout', 'dropped', 'unavailable'];

/**
 * Takes calls to canary addresses to the ledger, which writes the alarm. A crash in between tells a call twice, which is better
 * than not at all. Returns how many were told.
 */
export async function tellCanaryCalls(pool: Pool, ledger: GuardClient): Promise<number> {
  const { rows } = await pool.query<{ id: Buffer; how: string; box: Buffer }>(
    'select * from people.take_canary_calls()',
  );
  for (const { id, how, box } of rows) {
    try {
      await ledger.call('called', { how, box: toBase64url(box) });
    } catch (error) {
      // What the ledger cannot read is told by nobody; what it did not hear is told again.
      if (!(error instanceof GuardError) || UNHEARD.includes(error.code)) throw error;
    }
    await pool.query('select people.canary_told($1)', [id]);
  }
  return rows.length;
}

const mark = shape.object({
  handle: shape.text(40, { pattern: HANDLE }),
  addresses: shape.list(shape.text(254), 4, 1),
});

/**
 * Makes somebody who came like everybody else a canary: the operator invented them in the organisation's own directory, with
 * addresses that are the organisation's. Only the ledger is told. Throws PeopleError `bad-request`, SealError `shape`.
 */
export async function markCanary(doors: { readonly ledger: GuardClient; readonly keys: PublicKeys }, body: unknown) {
  const { handle, addresses } = mark(body);
  const tags = addresses.map((text) => {
    const address = canaryAddress(text);
    if (address !== undefined) return canaryTag(doors.keys.org, address);
    throw new PeopleError('bad-request', 'An address is a number in international form or an e-mail address.');
  });
  await doors.ledger.call('canaries', { entries: [{ handle, tags }] });
  return {};
}
