import type { KeyObject } from 'node:crypto';
import { fromBase64url, type Json, sha256 } from '#base';
import { itemsDigest, signDeclared } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { declarationsToken, type Item } from '#wire';
import { ownDeclaration } from './own.ts';
import { lockDeclared } from './sign.ts';

const BATCH = 5_000;

interface Stale {
  readonly device_id: number;
  readonly handle: string;
  readonly sets: string[];
  /** The permits for declarations of these sets that cover the device. */
  readonly permits: string[];
  readonly list_id: number | null;
}

/** Lists whose sets changed are computed anew: a few rows, however many devices. Returns how many sets were work. */
export async function refreshLists(pool: Pool, signKey: KeyObject): Promise<number> {
  return tx(pool, async (t) => {
    await lockDeclared(t);
    const taken = await t.query<{ id: string }>('select take_stale_sets as id from fleet.take_stale_sets()');
    const sets = taken.rows.map(({ id }) => id);
    if (sets.length === 0) return 0;
    for (const set of sets) await activate(t, set, signKey);
    const { rows } = await t.query<{ id: number; sets: string[]; permits: string[]; token: string; at: number }>(
      'select id, sets, permits, token, at from fleet.declared_list where sets && $1::uuid[] order by id',
      [sets],
    );
    for (const list of rows) {
      const items = await itemsOf(t, list.sets, list.permits);
      if (declarationsToken(items) === list.token) continue;
      // Never the same second twice: edge takes the later of two.
      const at = Math.max(Math.floor(Date.now() / 1000), list.at + 1);
      const { token, signature } = signList(list.id, items, at, signKey);
      await t.query('update fleet.declared_list set token = $2, items = $3, at = $4, signature = $5 where id = $1', [
        ...[list.id, token, JSON.stringify(items), at, signature],
      ]);
    }
    return sets.length;
  });
}

/** Gives devices whose sets changed their list. Returns how many were looked at; a crash leaves them for the next time. */
export async function refreshDevices(pool: Pool, signKey: KeyObject): Promise<number> {
  return tx(pool, async (t) => {
    await lockDeclared(t);
    const { rows } = await t.query<Stale>(
      'select device_id, handle, sets, permits, list_id from fleet.take_stale_devices($1)',
      [BATCH],
    );
    const lists = new Map<string, number>();
    const moved: { id: number; list: number; signature: Buffer }[] = [];
    for (const { device_id: id, handle, sets, permits, list_id: before } of rows) {
      // Nothing was ever declared for it, and nothing is now.
      if (before === null && sets.length === 0) continue;
      const key = `${sets.join()} ${permits.join()}`;
      let list = lists.get(key);
      if (list === undefined) {
        list = await listFor(t, sets, permits, signKey);
        lists.set(key, list);
      }
      if (list === before) continue;
      const signature = signDeclared(signKey, { op: 'declared-device', device: handle, list });
      moved.push({ id, list, signature: Buffer.from(fromBase64url(signature)) });
    }
    await t.query(
      `insert into fleet.declared_device as dd (device_id, list_id, signature, due)
       select * , true from unnest($1::bigint[], $2::bigint[], $3::bytea[])
       on conflict (device_id) do update set list_id = excluded.list_id, signature = excluded.signature, due = true`,
      [moved.map(({ id }) => id), moved.map(({ list }) => list), moved.map(({ signature }) => signature)],
    );
    return rows.length;
  });
}

async function listFor(
  t: Tx,
  sets: readonly string[],
  permits: readonly string[],
  signKey: KeyObject,
): Promise<number> {
  const key = sha256([...sets, ...permits.map((permit) => `permit ${permit}`)].join('\n'));
  const found = await t.query<{ id: number }>('select id from fleet.declared_list where key = $1', [key]);
  if (found.rows[0] !== undefined) return found.rows[0].id;
  const items = await itemsOf(t, sets, permits);
  const { rows } = await t.query<{ id: number }>('select coalesce(max(id), 0) + 1 as id from fleet.declared_list');
  const { id } = rows[0]!;
  const at = Math.floor(Date.now() / 1000);
  const { token, signature } = signList(id, items, at, signKey);
  await t.query(
    `insert into fleet.declared_list (id, sets, permits, key, token, items, at, signature, nudged_token)
     values ($1, $2, $8, $3, $4, $5, $6, $7, $4)`,
    [id, sets, key, token, JSON.stringify(items), at, signature, permits],
  );
  return id;
}

function signList(list: number, items: readonly Item[], at: number, signKey: KeyObject) {
  const token = declarationsToken(items);
  const digest = itemsDigest(items as unknown as Json);
  const signature = signDeclared(signKey, { op: 'declared-list', list, token, at, items: digest });
  return { token, signature: Buffer.from(fromBase64url(signature)) };
}

/**
 * Signed declarations of these sets, each once, in one order. Of what is guarded the version that the latest of the permits
 * names, and nothing where there is none; with a guarded configuration goes the activation that is for it alone.
 */
async function itemsOf(t: Tx, sets: readonly string[], permits: readonly string[]): Promise<Item[]> {
  const { rows } = await t.query<Item & { id: string; guarded: boolean; permitted: string | null }>(
    `select distinct d.id, d.kind, d.identifier, v.token, v.guarded, p.token as permitted from fleet.set_declaration s
     join fleet.declaration d on d.id = s.declaration_id and d.removed_at is null
     join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current'
     left join lateral (select x.token from fleet.declared_permit m,
         jsonb_to_recordset(m.permit->'declarations') x(identifier text, token text)
       where v.guarded and m.approval_id = any($2) and x.identifier = d.identifier
         and exists (select from fleet.declaration_version w where w.declaration_id = d.id and w.token = x.token
           and w.state in ('current', 'superseded'))
       order by (m.permit->>'notAfter')::bigint desc limit 1) p on true
     where s.set_id = any($1) order by d.kind, d.identifier`,
    [sets, permits],
  );
  const missing = rows.filter(({ guarded, permitted }) => guarded && permitted === null);
  const left = new Set(missing.map(({ identifier }) => identifier));
  for (const set of sets) for (const { id } of missing) left.add(activationOf(set, id));
  return rows
    .filter(({ identifier }) => !left.has(identifier))
    .map(({ kind, identifier, token, permitted }) => ({ kind, identifier, token: permitted ?? token }));
}

/** Our activation of a set; a guarded configuration has one of its own, so that keeping it back keeps back nothing else. */
const activationOf = (set: string, declaration?: string): string =>
  declaration === undefined ? `bartizan.set.${set}` : `bartizan.set.${set}.${declaration}`;

/** A configuration does nothing until an activation names it: whatever a set's own activations leave out, ours switch on. */
async function activate(t: Tx, set: string, signKey: KeyObject): Promise<void> {
  const { rows } = await t.query<{
    id: string;
    identifier: string;
    kind: string;
    guarded: boolean;
    predicate: string | null;
    named: string[] | null;
  }>(
    `select d.id, d.identifier, d.kind, v.guarded, s.predicate,
       case when d.kind = 'activation' then array(select jsonb_array_elements_text(v.payload->'StandardConfigurations')) end as named
     from fleet.declaration_set s join fleet.set_declaration x on x.set_id = s.id
     join fleet.declaration d on d.id = x.declaration_id and d.removed_at is null and d.origin <> 'set'
     join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current'
     where s.id = $1 and s.removed_at is null and d.kind in ('configuration', 'activation') order by d.identifier`,
    [set],
  );
  const named = new Set(rows.flatMap((row) => row.named ?? []));
  const left = rows.filter(({ kind, identifier }) => kind === 'configuration' && !named.has(identifier));
  const predicate = rows[0]?.predicate ?? null;
  const plain = left.filter(({ guarded }) => !guarded).map(({ identifier }) => identifier);
  const wanted = new Map(plain.length === 0 ? [] : [[activationOf(set), plain]]);
  for (const { id, identifier, guarded } of left) if (guarded) wanted.set(activationOf(set, id), [identifier]);
  await t.query(
    `update fleet.declaration_version v set state = 'superseded' from fleet.declaration d
     where (d.identifier = $1 or starts_with(d.identifier, $1 || '.')) and not d.identifier = any($2) and d.origin = 'set'
       and v.declaration_id = d.id and v.state = 'current'`,
    [activationOf(set), [...wanted.keys()]],
  );
  for (const [identifier, configurations] of wanted) {
    const id = await ownDeclaration(
      t,
      {
        ...{ identifier, type: 'com.apple.activation.simple', origin: 'set', author: 'core' },
        payload: {
          StandardConfigurations: configurations,
          ...(predicate === null || predicate === '' ? {} : { Predicate: predicate }),
        },
      },
      signKey,
    );
    await t.query('insert into fleet.set_declaration values ($1, $2) on conflict do nothing', [set, id]);
  }
}
