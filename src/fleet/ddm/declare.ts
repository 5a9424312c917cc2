import { type Json, uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { kindOf, type Problem } from '#wire';
import { FleetError } from '../error.ts';
import { judgeDeclaration } from './danger.ts';

export interface DeclarationInput {
  readonly identifier: string;
  readonly type: string;
  readonly payload: { readonly [key: string]: Json };
  /** Passes unknown types and keys; two people must then agree before devices get it. */
  readonly unchecked: boolean;
  readonly author: string;
  readonly now: number;
}

/** A declaration that breaks Apple's key tables; the problems name keys and rules, never values. */
export class InvalidDeclaration extends FleetError {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super('invalid-declaration', 'The declaration is not as Apple defines it. Nothing was stored.', { status: 422 });
    this.problems = problems;
  }
}

/**
 * Stores a declaration, or a new version of one with this identifier. Core checks it once more before it signs it.
 * `guarded`: devices get it only once two people agreed to these bytes for them (`askDeclare`). Throws InvalidDeclaration or
 * FleetError.
 */
export async function proposeDeclaration(
  t: Tx,
  input: DeclarationInput,
): Promise<{ id: string; version: number; state: 'proposed'; guarded: boolean }> {
  const judged = judgeDeclaration(input, input.unchecked);
  if (judged.problems.length > 0) throw new InvalidDeclaration(judged.problems);
  if (/^bartizan\./i.test(input.identifier))
    throw new FleetError('bad-request', 'Identifiers that begin with bartizan are our own. Choose another one.');
  await t.query('select pg_advisory_xact_lock(hashtext($1))', [`declaration ${input.identifier}`]);
  const { rows } = await t.query<{ id: string; type: string; origin: string; gone: boolean; version: number }>(
    `select d.id, d.type, d.origin, d.removed_at is not null as gone,
       (select max(version) from fleet.declaration_version v where v.declaration_id = d.id) as version
     from fleet.declaration d where d.identifier = $1`,
    [input.identifier],
  );
  const before = rows[0];
  if (before !== undefined && (before.gone || before.origin !== 'administrator' || before.type !== input.type)) {
    throw new FleetError('bad-request', 'This identifier belongs to another declaration. Choose a new one.', {
      status: 409,
    });
  }
  const id = before?.id ?? uuidv7(input.now);
  if (before === undefined) {
    await t.query(
      'insert into fleet.declaration (id, identifier, kind, type, created_by) values ($1, $2, $3, $4, $5)',
      [id, input.identifier, kindOf(input.type), input.type, input.author],
    );
  }
  const version = (before?.version ?? 0) + 1;
  await t.query(
    `insert into fleet.declaration_version (declaration_id, version, payload, unchecked, state, author)
     values ($1, $2, $3, $4, 'proposed', $5)`,
    [id, version, JSON.stringify(input.payload), input.unchecked, input.author],
  );
  await emit(t, {
    kind: 'declaration.proposed',
    actor: input.author,
    detail: { declaration: id, version, type: input.type, needs_two: judged.guarded, why: judged.why },
  });
  await t.query("select pg_notify('bartizan_work', '')");
  return { id, version, state: 'proposed', guarded: judged.guarded };
}

/** Takes a declaration out of all sets. */
export async function removeDeclaration(t: Queryable, id: string, by: string): Promise<void> {
  const { rows } = await t.query<{ done: boolean }>('select fleet.remove_declaration($1, $2) as done', [id, by]);
  if (!rows[0]!.done) throw new FleetError('bad-request', 'This declaration cannot be removed here.', { status: 409 });
}
