import type { Queryable } from '#store';
import type { Item } from '#wire';

/** A set as somebody thinks of making it, in place of the one that is stored. */
export interface Draft {
  readonly set: string;
  readonly declarations: readonly string[];
  readonly predicate: string | null;
}

/** Declarations that sets hold, those of a draft instead of the stored ones. Takes $1 sets, $2 the draft's set, $3 its declarations. */
const HELD = `held as (select x.set_id, x.declaration_id from fleet.set_declaration x where x.set_id = any($1) and x.set_id is distinct from $2::uuid
  union select $2::uuid, n from unnest($3::uuid[]) n where $2::uuid = any($1))`;
const draftOf = (draft: Draft | undefined) => [draft?.set ?? null, draft?.declarations ?? []];

interface Chosen extends Item {
  readonly id: string;
  readonly origin: string;
  /** Null if nobody may have it yet: it is dangerous, and none of the permits is for it. */
  readonly chosen: string | null;
}

/**
 * Each declaration of these sets with the version that devices with these permits get: the newest of those that are harmless
 * and the one that the latest permit names. A dangerous version takes nothing away before two people agreed to it.
 */
async function choose(
  db: Queryable,
  sets: readonly string[],
  permits: readonly string[],
  draft?: Draft,
): Promise<Chosen[]> {
  const { rows } = await db.query<Chosen>(
    `with ${HELD}
     select distinct d.id, d.kind, d.identifier, d.origin, v.token, case when not v.guarded then v.token else
       (select w.token from fleet.declaration_version w where w.declaration_id = d.id and w.state in ('current', 'superseded')
          and (not w.guarded or w.token = (select x.token from fleet.declared_permit m,
              jsonb_to_recordset(m.permit->'declarations') x(identifier text, token text)
            where m.approval_id = any($4) and x.identifier = d.identifier order by (m.permit->>'notAfter')::bigint desc limit 1))
        order by w.version desc limit 1) end as chosen
     from held h join fleet.declaration d on d.id = h.declaration_id and d.removed_at is null
     join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current'
     order by d.kind, d.identifier`,
    [sets, ...draftOf(draft), permits],
  );
  return rows;
}

/** What devices with these sets and permits get, each once, in one order, signed by core. */
export async function itemsOf(db: Queryable, sets: readonly string[], permits: readonly string[]): Promise<Item[]> {
  const all = await choose(db, sets, permits);
  const left = keptBack(all, sets);
  return all
    .filter(({ identifier }) => !left.has(identifier))
    .map(({ kind, identifier, chosen }) => ({ kind, identifier, token: chosen! }));
}

/** The same before core made it: lines to compare, our own activations by what they would say. */
export async function outlineOf(
  db: Queryable,
  sets: readonly string[],
  permits: readonly string[],
  draft?: Draft,
): Promise<string> {
  const all = (await choose(db, sets, permits, draft)).filter(({ origin }) => origin !== 'set');
  const left = keptBack(all, sets);
  const lines = all
    .filter(({ identifier }) => !left.has(identifier))
    .map(({ kind, identifier, chosen }) => `${kind}/${identifier}=${chosen}`);
  for (const set of sets) {
    const { wanted, predicate } = await activationsOf(db, set, draft);
    for (const [identifier, configurations] of wanted)
      if (!left.has(identifier)) lines.push(`${identifier}=${JSON.stringify([configurations, predicate])}`);
  }
  return lines.sort().join('\n');
}

/** Identifiers of what is kept back, and of the activations that are for that alone. */
function keptBack(all: readonly Chosen[], sets: readonly string[]): ReadonlySet<string> {
  const missing = all.filter(({ chosen }) => chosen === null);
  const left = new Set(missing.map(({ identifier }) => identifier));
  for (const set of sets) for (const { id } of missing) left.add(activationOf(set, id));
  return left;
}

/**
 * Our activation of a set. A configuration that was never harmless has one of its own, so that keeping it back keeps back
 * nothing else; of any other every device has some version.
 */
export const activationOf = (set: string, declaration?: string): string =>
  declaration === undefined ? `bartizan.set.${set}` : `bartizan.set.${set}.${declaration}`;

/**
 * The activations that we make for a set, each with the configurations that it switches on: a configuration does nothing
 * until an activation names it, so ours name whatever the set's own leave out.
 */
export async function activationsOf(
  db: Queryable,
  set: string,
  draft?: Draft,
): Promise<{ wanted: ReadonlyMap<string, readonly string[]>; predicate: string | null }> {
  const { rows } = await db.query<{
    id: string;
    identifier: string;
    kind: string;
    guarded: boolean;
    predicate: string | null;
    named: string[] | null;
  }>(
    `with ${HELD}
     select d.id, d.identifier, d.kind, v.guarded and not exists (select from fleet.declaration_version w where w.declaration_id = d.id
         and not w.guarded and w.state = 'superseded') as guarded, (select s.predicate from fleet.declaration_set s where s.id = h.set_id) as predicate,
       case when d.kind = 'activation' then array(select jsonb_array_elements_text(v.payload->'StandardConfigurations')) end as named
     from held h join fleet.declaration d on d.id = h.declaration_id and d.removed_at is null and d.origin <> 'set'
     join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current'
     where ($2::uuid is not null or not exists (select from fleet.declaration_set s where s.id = h.set_id and s.removed_at is not null))
       and d.kind in ('configuration', 'activation') order by d.identifier`,
    [[set], ...draftOf(draft?.set === set ? draft : undefined)],
  );
  const named = new Set(rows.flatMap((row) => row.named ?? []));
  const left = rows.filter(({ kind, identifier }) => kind === 'configuration' && !named.has(identifier));
  const plain = left.filter(({ guarded }) => !guarded).map(({ identifier }) => identifier);
  const wanted = new Map<string, readonly string[]>(plain.length === 0 ? [] : [[activationOf(set), plain]]);
  for (const { id, identifier, guarded } of left) if (guarded) wanted.set(activationOf(set, id), [identifier]);
  return { wanted, predicate: (draft?.set === set ? draft.predicate : rows[0]?.predicate) || null };
}
