import type { KeyObject } from 'node:crypto';
import { fromBase64url, type Json, sha256, toBase64url } from '#base';
import { emit } from '#log';
import { signDeclared } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { type Declaration, declarationBody, serverToken } from '#wire';
import { within } from '../within.ts';
import { judgeDeclaration } from './danger.ts';

interface Proposed {
  readonly declaration_id: string;
  readonly version: number;
  readonly identifier: string;
  readonly type: string;
  readonly payload: { readonly [key: string]: Json };
  readonly unchecked: boolean;
  readonly current: number | null;
  readonly current_token: string | null;
}

/** One at a time computes lists, or a new list could miss a change that is committed beside it. */
export const lockDeclared = (t: Tx) => t.query("select pg_advisory_xact_lock(hashtext('declared'))");

/** What core signs over a declaration: token, bytes and signature as they are stored. */
export function signedDeclaration(declaration: Declaration, signKey: KeyObject) {
  const token = serverToken(declaration);
  const body = declarationBody(declaration);
  const { identifier } = declaration;
  const statement = { op: 'declaration', identifier, token, body: toBase64url(sha256(body)) } as const;
  return { token, body, signature: Buffer.from(fromBase64url(signDeclared(signKey, statement))) };
}

/**
 * Checks proposed versions once more and signs them. What is dangerous is signed too and marked: its signature says what
 * the bytes are, and only a permit of two people gives them to devices. Returns how many were decided. A crash in between leaves them proposed.
 */
export async function signProposed(pool: Pool, signKey: KeyObject): Promise<number> {
  return tx(pool, async (t) => {
    await lockDeclared(t);
    const { rows } = await t.query<Proposed>(
      `select v.declaration_id, v.version, d.identifier, d.type, v.payload, v.unchecked,
         c.version as current, c.token as current_token
       from fleet.declaration_version v join fleet.declaration d on d.id = v.declaration_id
       left join fleet.declaration_version c on c.declaration_id = d.id and c.state = 'current'
       where v.state = 'proposed' order by v.declaration_id, v.version limit 50 for update of v`,
    );
    // Several versions of one declaration at once: each supersedes the one before, so they go one step at a time.
    const first = new Set<string>();
    let decided = 0;
    for (const row of rows) {
      if (first.has(row.declaration_id)) continue;
      first.add(row.declaration_id);
      // One that nobody can make bytes of must not hold up the others.
      if ((await within(t, () => decide(t, row, signKey))) !== undefined) await refuse(t, row, 'malformed');
      decided += 1;
    }
    return decided;
  });
}

async function refuse(t: Tx, { declaration_id: id, version, type }: Proposed, reason: string): Promise<void> {
  await t.query(
    `update fleet.declaration_version set state = 'refused', reason = $3, decided_at = now()
     where declaration_id = $1 and version = $2`,
    [id, version, reason.slice(0, 500)],
  );
  await emit(t, { kind: 'declaration.refused', actor: 'core', detail: { declaration: id, version, type } });
}

async function decide(t: Tx, row: Proposed, signKey: KeyObject): Promise<void> {
  const { declaration_id: id, version, identifier, type, payload } = row;
  const declaration = { identifier, type, payload };
  const judged = judgeDeclaration(declaration, row.unchecked);
  const settle = (state: string, reason: string | null) =>
    t.query(
      `update fleet.declaration_version set state = $3, reason = $4, decided_at = now()
       where declaration_id = $1 and version = $2`,
      [id, version, state, reason],
    );
  if (judged.problems.length > 0) {
    const { path, rule } = judged.problems[0]!;
    return refuse(t, row, `${path} ${rule}`);
  }
  if (row.current !== null && row.current > version) {
    await settle('withdrawn', 'overtaken-by-a-later-version');
    return;
  }
  const { token, body, signature } = signedDeclaration(declaration, signKey);
  if (row.current_token === token) {
    await settle('withdrawn', 'same-content-as-before');
    return;
  }
  await makeCurrent(t, { id, version, token, body, signature, guarded: judged.guarded });
  await emit(t, {
    kind: 'declaration.signed',
    actor: 'core',
    detail: { declaration: id, version, type, token, guarded: judged.guarded },
  });
}

/** Makes a signed version the one that devices get, and the sets with it work. */
export async function makeCurrent(
  t: Tx,
  signed: { readonly id: string; readonly version: number; readonly token: string } & {
    readonly body: Buffer;
    readonly signature: Buffer;
    /** It reaches devices only by permits. */
    readonly guarded?: boolean;
  },
): Promise<void> {
  await t.query(
    `update fleet.declaration_version set state = 'superseded' where declaration_id = $1 and state = 'current'`,
    [signed.id],
  );
  await t.query(
    `update fleet.declaration_version set state = 'current', token = $3, body = $4, signature = $5, guarded = $6, decided_at = now()
     where declaration_id = $1 and version = $2`,
    [signed.id, signed.version, signed.token, signed.body, signed.signature, signed.guarded ?? false],
  );
  await t.query(
    `insert into fleet.stale_set select set_id from fleet.set_declaration where declaration_id = $1 on conflict do nothing`,
    [signed.id],
  );
}
