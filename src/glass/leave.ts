import { fromBase64url, sha256 } from '#base';
import { parseAssertion, parseLeave, shape } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';

const parseTouch = shape.object({ document: parseLeave, assertion: parseAssertion });
const parseLink = shape.object({ token: shape.base64url(32) });

/** Takes one administrator's touch to the ledger: these people have left. Throws GuardError with the ledger's refusal. */
export async function leave(doors: GlassDoors, body: unknown): Promise<object> {
  const { document, assertion } = parseTouch(body);
  return doors.ledger.call('leave', { document, assertions: [assertion] }, { timeoutMs: 30_000 });
}

interface History {
  readonly entries: readonly object[];
  readonly checkpoint: string;
  readonly next: number | null;
}

/**
 * Who looked at a person's data, for that person: the link says who it is, once; the answer is the ledger's, from the log.
 * The link is spent only when there is an answer to give. Throws GlassError `closed`.
 */
export async function ownSheet(doors: GlassDoors, body: unknown): Promise<object> {
  const token = sha256(fromBase64url(parseLink(body).token));
  const closed = () =>
    new GlassError('closed', 'This link was used before, or its seven days are over. Ask for a new one.', {
      status: 410,
    });
  const { rows } = await doors.pool.query<{ handle: string | null }>('select people.sheet_of($1) as handle', [token]);
  const handle = rows[0]?.handle;
  if (!handle) throw closed();
  const pages: History[] = [];
  for (let after: number | null = -1; after !== null && pages.length < 50; ) {
    const page: History = await doors.ledger.call<History>(
      'history',
      { subject: handle, after },
      { timeoutMs: 30_000 },
    );
    pages.push(page);
    after = page.next;
  }
  const spent = await doors.pool.query<{ mine: boolean }>('select people.sheet_opened($1) as mine', [token]);
  if (spent.rows[0]?.mine !== true) throw closed();
  return {
    ...{ handle, pages: pages.map(({ entries, checkpoint }) => ({ entries, checkpoint })) },
    complete: pages.at(-1)?.next === null,
  };
}
