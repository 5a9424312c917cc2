import type { Queryable } from '#store';

/** Days between two attestations of a device; 0 is never. Apple makes a fresh one once in seven days at most. */
export async function reattestationDays(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ days: number }>('select days from fleet.reattestation_plan');
  return rows[0]?.days ?? 0;
}

/** Sets it: 0, or 7 to 365. */
export async function setReattestation(t: Queryable, input: { days: number; by: string }): Promise<void> {
  await t.query('select fleet.set_reattestation($1, $2)', [input.days, input.by]);
}

/** Asks core to ask a device now. False if it is not enrolled, cannot be attested here, or is being asked already. */
export async function askAttestation(t: Queryable, handle: string, by: string): Promise<boolean> {
  const { rows } = await t.query<{ asked: boolean }>('select fleet.ask_attestation($1, $2) as asked', [handle, by]);
  return rows[0]!.asked;
}
