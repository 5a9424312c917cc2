import type { KeyObject } from 'node:crypto';
import { type Clock, uuidv7 } from '#base';
import { type AUTOMATIC, type Channel, messageHashes, signAutoSend, type Topic, type Variables } from '#seal';
import { type Pool, type Queryable, tx } from '#store';

/**
 * Core's door: a rule's message to one person, without anybody's touch. The guards open five addresses an hour for all
 * rules together, so it is for what protects that person, such as a change of their number. Returns `waiting`,
 * `unknown-person` or `too-many`. Throws SealError `shape` for other topics or variables.
 */
export async function askAutomatic(
  t: Queryable,
  coreKey: KeyObject,
  asked: {
    readonly rule: string;
    readonly topic: (typeof AUTOMATIC)[number] & Topic;
    readonly channel: Channel;
    readonly subject: string;
    readonly organisation: string;
    readonly variables: Variables;
    readonly now: number;
  },
): Promise<string> {
  const { rule, topic, channel, subject, organisation, variables, now } = asked;
  const message = signAutoSend(coreKey, {
    ...{ v: 1, op: 'auto-send', id: uuidv7(now), rule, channel, topic, subject, variables },
    ...messageHashes(topic, organisation, variables),
    notAfter: now + 12 * 3_600_000,
  });
  const { rows } = await t.query<{ state: string }>('select courier.ask_auto($1) as state', [JSON.stringify(message)]);
  return rows[0]!.state;
}

/**
 * Tells people at the number or address from before that it is to change: whoever redirects an enrolment by an owned identity
 * provider is noticed by its victim. Told and asked in one transaction. Returns how many were asked for.
 */
export async function tellHeldChanges(
  pool: Pool,
  doors: { readonly coreKey: KeyObject; readonly organisation: string; readonly now: Clock },
): Promise<number> {
  const { rows } = await pool.query<{ subject: string; field: 'number' | 'email'; version: string }>(
    'select subject, field, version from courier.untold_changes(20)',
  );
  for (const { subject, field, version } of rows) {
    await tx(pool, async (t) => {
      const told = await t.query<{ first: boolean }>('select courier.change_told($1, $2, $3) as first', [
        ...[subject, field, version],
      ]);
      if (told.rows[0]?.first !== true) return;
      await askAutomatic(t, doors.coreKey, {
        ...{ rule: 'change-held', topic: 'number-change', channel: field === 'number' ? 'sms' : 'email', subject },
        variables: { date: new Date(doors.now()).toISOString().slice(0, 10) },
        ...{ organisation: doors.organisation, now: doors.now() },
      });
    });
  }
  return rows.length;
}
