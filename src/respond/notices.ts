import { uuidv7 } from '#base';
import { unknownPeople } from '#people';
import {
  type Channel,
  FOR_MANY,
  MOST_NOTIFIED,
  messageHashes,
  type Notice,
  parseNotice,
  SealError,
  type Topic,
  type Variables,
} from '#seal';
import type { Queryable, Tx } from '#store';
import { requestApproval } from './approval.ts';
import { RespondError } from './error.ts';

const DAY_MS = 86_400_000;
/** Lists that one request may make: each is signed apart. */
const MOST_LISTS = 20;

/** A message as the console may know it. */
export interface MessageRow {
  readonly id: string;
  readonly lane: 'send' | 'notice' | 'auto-send';
  readonly notice: string | null;
  readonly subject: string;
  readonly channel: Channel;
  readonly topic: string;
  readonly by: string;
  readonly at: Date;
  readonly notAfter: Date;
  readonly state: string;
  readonly reason: string | null;
  readonly attempts: number;
  readonly doneAt: Date | null;
}

/** Messages, newest first, those asked before `after` (a message's id), and the channels that courier can use now. */
export async function listMessages(
  db: Queryable,
  filter: { readonly after?: string; readonly limit: number },
): Promise<{ items: MessageRow[]; total: number; channels: Channel[] }> {
  const after = filter.after !== undefined && /^[0-9a-f-]{36}$/.test(filter.after) ? filter.after : null;
  const { rows } = await db.query<MessageRow>(
    `select m.id, m.lane, m.notice_id as notice, m.subject, m.channel, m.topic, m.asked_by as by, m.asked_at as at,
       m.not_after as "notAfter", m.state, m.reason, m.attempts, m.done_at as "doneAt"
     from courier.message m
     where $1::uuid is null or (m.asked_at, m.id) < (select x.asked_at, x.id from courier.message x where x.id = $1)
     order by m.asked_at desc, m.id desc limit $2`,
    [after, filter.limit],
  );
  const count = await db.query<{ total: number }>('select count(*)::int as total from courier.message');
  const standing = await db.query<{ channels: Channel[] }>('select channels from courier.standing');
  return { items: rows, total: count.rows[0]!.total, channels: standing.rows[0]?.channels ?? [] };
}

/**
 * Asks two people to send one message to these people, or to everybody in the directory. More than 5 000 make several lists, each
 * with its own two signatures. Throws RespondError `unknown-person`, `bad-message`. Returns the approvals.
 */
export async function askNotice(
  t: Tx,
  asked: {
    readonly channel: Channel;
    readonly topic: string;
    readonly variables: Readonly<Record<string, string>>;
    readonly people: 'everyone' | readonly string[];
    readonly purpose: string;
    readonly by: string;
    readonly organisation: string;
    readonly now: number;
  },
): Promise<string[]> {
  const { channel, purpose, by, now } = asked;
  const topic = FOR_MANY.find((one) => one === asked.topic) as Topic;
  const people = asked.people === 'everyone' ? await everyone(t) : [...new Set(asked.people)].sort();
  const unknown = asked.people === 'everyone' ? [] : await unknownPeople(t, people);
  if (unknown.length > 0) {
    throw new RespondError('unknown-person', `Not in the directory: ${unknown.slice(0, 5).join(', ')}.`);
  }
  if (people.length < 2 || people.length > MOST_LISTS * MOST_NOTIFIED) {
    throw new RespondError('bad-message', 'A notice goes to at least two people. To one person, send a message.');
  }
  const variables = asked.variables as Variables;
  let hashes: ReturnType<typeof messageHashes>;
  try {
    hashes = messageHashes(topic, asked.organisation, variables);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new RespondError('bad-message', 'This message needs other values, or they have another form.');
  }
  const approvals: string[] = [];
  for (const subjects of lists(people)) {
    const document: Notice = parseNotice({
      ...{ v: 1, op: 'notice', id: uuidv7(now), channel, topic, variables, ...hashes, subjects },
      ...{ requester: by, purpose, notAfter: now + DAY_MS },
    });
    await requestApproval(t, document);
    approvals.push(document.id);
  }
  return approvals;
}

async function everyone(t: Tx): Promise<string[]> {
  const { rows } = await t.query<{ handle: string }>('select handle from people.person where left_at is null');
  // Not the database's order: documents are sorted by code units.
  return rows.map(({ handle }) => handle).sort();
}

/** Cuts a sorted list into as few parts as it takes, none of which is a single person. */
function lists(people: readonly string[]): string[][] {
  const count = Math.ceil(people.length / MOST_NOTIFIED);
  const size = Math.ceil(people.length / count);
  return Array.from({ length: count }, (_, i) => people.slice(i * size, (i + 1) * size));
}
