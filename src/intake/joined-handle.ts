import { IntakeError } from './error.ts';
import { type IntakeSecrets, tagOf } from './secrets.ts';

/** Whoever may read `people.joined`: the operator, and no process of ours. */
interface Reader {
  query(sql: string, values: unknown[]): Promise<{ rows: { handle: string }[] }>;
}

/** The handle of somebody whom a source pushed under this user name. Throws IntakeError `unknown`. */
export async function joinedHandle(
  operator: Reader,
  secrets: IntakeSecrets,
  source: string,
  userName: string,
): Promise<string> {
  const { rows } = await operator.query(
    'select handle from people.joined where source = $1 and user_tag = $2 and gone_at is null',
    [source, tagOf(secrets, source, 'user', userName)],
  );
  if (rows[0] === undefined) {
    throw new IntakeError('unknown', 'Nobody came from this source under this name.', { status: 404 });
  }
  return rows[0].handle;
}
