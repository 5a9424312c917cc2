import type { KeyObject } from 'node:crypto';
import { uuidv7 } from '#base';
import { type AUTOMATIC, type Channel, messageHashes, signAutoSend, type Topic, type Variables } from '#seal';
import type { Queryable } from '#store';

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
