import type { KeyObject } from 'node:crypto';
import { type Json, uuidv7 } from '#base';
import type { Tx } from '#store';
import { kindOf } from '#wire';
import { FleetError } from '../error.ts';
import { judgeDeclaration } from './danger.ts';
import { makeCurrent, signedDeclaration } from './sign.ts';

/**
 * Makes one of our own declarations (a set's activation, the standard subscriptions, an update's target) what is given
 * here, signed at once. Returns its id. Does nothing if it is so already. Throws FleetError if it would not pass the checks.
 */
export async function ownDeclaration(
  t: Tx,
  given: {
    readonly identifier: string;
    readonly type: string;
    readonly payload: { readonly [key: string]: Json };
    readonly origin: 'set' | 'update' | 'standard';
    readonly author: string;
  },
  signKey: KeyObject,
): Promise<string> {
  const { identifier, type, payload } = given;
  const judged = judgeDeclaration({ identifier, type, payload }, false);
  if (judged.problems.length > 0 || judged.guarded) {
    throw new FleetError('bad-request', 'A declaration of our own does not pass the checks.');
  }
  const id = uuidv7();
  await t.query(
    `insert into fleet.declaration (id, identifier, kind, type, origin, created_by) values ($1, $2, $3, $4, $5, $6)
     on conflict (identifier) do nothing`,
    [id, identifier, kindOf(type), type, given.origin, given.author],
  );
  const { rows } = await t.query<{ id: string; origin: string; version: number; token: string | null }>(
    `select d.id, d.origin, coalesce((select max(version) from fleet.declaration_version v where v.declaration_id = d.id), 0) as version,
       (select token from fleet.declaration_version v where v.declaration_id = d.id and v.state = 'current') as token
     from fleet.declaration d where d.identifier = $1 for update`,
    [identifier],
  );
  const found = rows[0]!;
  if (found.origin !== given.origin) throw new FleetError('bad-request', `The identifier ${identifier} is taken.`);
  const signed = signedDeclaration({ identifier, type, payload }, signKey);
  if (found.token === signed.token) return found.id;
  await t.query(
    `insert into fleet.declaration_version (declaration_id, version, payload, author) values ($1, $2, $3, $4)`,
    [found.id, found.version + 1, JSON.stringify(payload), given.author],
  );
  await makeCurrent(t, { id: found.id, version: found.version + 1, ...signed });
  return found.id;
}
