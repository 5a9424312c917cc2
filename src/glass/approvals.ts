import { toBase64url } from '#base';
import { emit } from '#log';
import {
  type Approvable,
  type Assertion,
  GuardError,
  parseAssertion,
  type RosterKey,
  shape,
  verifyAssertion,
} from '#seal';
import { type Queryable, tx } from '#store';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';
import { relayExport } from './export.ts';

interface Shown {
  readonly document: Approvable;
  readonly state: string;
  readonly needs: number;
  /** What a command set would send, with the nil UUID for each device's own; null for other documents. */
  readonly template: string | null;
  /** The declarations that two people agree to, as devices receive them; null for other documents. */
  readonly bodies: readonly { readonly identifier: string; readonly body: string }[] | null;
  readonly signatures: readonly { readonly admin: string; readonly at: string }[];
}

/** Data behind addresses of ours in those declarations; the page checks that each address is its hash. */
interface ShownData {
  readonly id: string;
  /** The whole address as the declaration names it. */
  readonly url: string;
  readonly type: string;
  /** base64url. */
  readonly salt: string;
  readonly content: string;
}

const parse = shape.object({ assertion: parseAssertion });
/** A new key comes from its source first: a token or a key service may take a while. */
const RELAY = { timeoutMs: 25_000 };

/** What glass itself hands to the guards once enough people have signed, and what of it concerns the ledger alone. */
const RELAYED: ReadonlySet<string> = new Set([
  'unlock',
  'invite',
  'leave',
  'change',
  'rotate-locks',
  'rotate-key',
  'roster',
  'hydrate',
  'export',
]);
const LEDGERS_ALONE: ReadonlySet<string> = new Set(['leave', 'change', 'rotate-locks']);

/** What is to be signed, and who has signed. Throws `not-found`. */
export async function showApproval(db: Queryable, id: string): Promise<Shown> {
  const { rows } = await db.query<Shown>(
    `select a.document, case when a.state = 'open' and a.not_after <= now() then 'expired' else a.state end as state,
       a.needs, coalesce((select jsonb_agg(jsonb_build_object('admin', s.admin, 'at',
         to_char(s.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by s.at)
         from respond.signature s where s.approval_id = a.id), '[]') as signatures,
       (select convert_from(f.template, 'UTF8') from fleet.template f where f.approval_id = a.id) as template,
       (select k.bodies from fleet.declared_ask k where k.approval_id = a.id) as bodies
     from respond.approval a where a.id = $1`,
    [id],
  );
  if (rows[0] === undefined)
    throw new GlassError('not-found', 'There is no approval at this address.', { status: 404 });
  return rows[0];
}

/** What stands behind addresses of our own device plane that these declarations name; nothing is fetched from anywhere. */
export async function shownData(db: Queryable, bodies: Shown['bodies'], edge: string): Promise<readonly ShownData[]> {
  const urls = new Map<string, string>();
  for (const { body } of bodies ?? []) {
    for (const [, url] of body.matchAll(/"([^"\\]*)"/g)) {
      const id = url!.startsWith(`${edge}/data/`) ? url!.slice(`${edge}/data/`.length) : '';
      if (/^[A-Za-z0-9_-]{43}$/.test(id)) urls.set(id, url!);
    }
  }
  if (urls.size === 0) return [];
  const { rows } = await db.query<{ id: string; type: string; salt: Buffer; content: Buffer }>(
    'select id, content_type as type, salt, content from fleet.declared_data where id = any($1) and salt is not null limit 50',
    [[...urls.keys()]],
  );
  return rows.map(({ id, type, salt, content }) => ({
    ...{ id, url: urls.get(id)!, type, salt: toBase64url(salt), content: toBase64url(content) },
  }));
}

/**
 * Takes one signature over exactly the stored document. What glass checks here keeps useless signatures out; the guards
 * check every one again before anything happens. Signing twice is fine. Throws `closed`, `not-allowed`, SealError.
 */
export async function sign(doors: GlassDoors, id: string, body: unknown): Promise<{ state: string }> {
  const { assertion } = parse(body);
  const { document, state } = await showApproval(doors.pool, id);
  if (state !== 'open') {
    throw new GlassError('closed', `This approval is ${state}. Nothing can be signed any more.`, { status: 409 });
  }
  const { keys, opened } = await doors.ledger.call<{ keys: RosterKey[]; opened: RosterKey[] }>('roster', {});
  const key = [...keys, ...opened].find((one) => one.credential === assertion.credential);
  if (key === undefined) {
    throw new GlassError('not-allowed', 'This passkey is not registered here.', { status: 403 });
  }
  verifyAssertion({ assertion, document, publicKey: key.publicKey, origin: doors.origins.glass });
  if (key.role !== 'administrator') {
    throw new GlassError('not-allowed', 'Only administrators sign approvals.', { status: 403 });
  }
  await tx(doors.pool, async (t) => {
    const { rowCount } = await t.query(
      `insert into respond.signature (approval_id, admin, assertion) values ($1, $2, $3) on conflict do nothing`,
      [id, key.admin, JSON.stringify(assertion)],
    );
    if (!rowCount) return;
    await emit(t, { kind: 'approval.signed', actor: key.admin, detail: { approval: id, op: document.op } });
    await t.query("select pg_notify('bartizan_work', '')");
  });
  await relayOne(doors, id);
  return { state: (await showApproval(doors.pool, id)).state };
}

/**
 * Hands unlocks, invitations and changes of the key with enough signatures to both guards. The sealer first: the ledger's entry closes the
 * approval, so whatever stops in between is open still and asked again. Command sets are core's.
 */
export async function relay(doors: GlassDoors): Promise<void> {
  const { rows } = await doors.pool.query<{ id: string }>(
    `select id from respond.approval a where op = any($1) and state = 'open' and not_after > now()
       and (select count(*) from respond.signature s where s.approval_id = a.id) >= needs order by created_at limit 20`,
    [[...RELAYED]],
  );
  for (const { id } of rows) {
    try {
      await relayOne(doors, id);
    } catch (error) {
      // Refusals are the guards' own entries in the log; they close the approval.
      if (!(error instanceof GuardError)) throw error;
    }
  }
}

async function relayOne(doors: GlassDoors, id: string): Promise<void> {
  const { rows } = await doors.pool.query<{ document: Approvable; assertions: Assertion[] }>(
    `select a.document, (select jsonb_agg(s.assertion order by s.at) from respond.signature s where s.approval_id = a.id) as assertions
     from respond.approval a where a.id = $1 and a.op = any($2) and a.state = 'open' and a.not_after > now()
       and (select count(*) from respond.signature s where s.approval_id = a.id) >= a.needs`,
    [id, [...RELAYED]],
  );
  const ready = rows[0];
  if (ready === undefined) return;
  // The sealer takes changes of the roster in the ledger's order, and follows by itself if it is not told.
  if (ready.document.op === 'roster') {
    await doors.ledger.call('roster-change', ready);
    await doors.sealer.call('roster-change', ready);
    return;
  }
  if (ready.document.op === 'export') return relayExport(doors, { ...ready, document: ready.document });
  if (!LEDGERS_ALONE.has(ready.document.op)) await doors.sealer.call(ready.document.op, ready, RELAY);
  await doors.ledger.call(ready.document.op, ready, RELAY);
}
