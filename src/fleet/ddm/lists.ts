import type { KeyObject } from 'node:crypto';
import { fromBase64url, type Json, sha256 } from '#base';
import { itemsDigest, signDeclared } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { declarationsToken, type Item } from '#wire';
import { activationOf, activationsOf, itemsOf } from './items.ts';
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

/** Makes a set's activations what they have to be. */
async function activate(t: Tx, set: string, signKey: KeyObject): Promise<void> {
  const { wanted, predicate } = await activationsOf(t, set);
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
          ...(predicate === null ? {} : { Predicate: predicate }),
        },
      },
      signKey,
    );
    await t.query('insert into fleet.set_declaration values ($1, $2) on conflict do nothing', [set, id]);
  }
}
