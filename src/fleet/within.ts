import type { Tx } from '#store';

/** Classes of SQLSTATE that speak of the values at hand: data exception, constraint violation, limit exceeded. */
const OF_VALUES = /^(22|23|54)/;

/**
 * Runs a part of a transaction. If what it was given is to blame, its effects are undone and the error is returned, and the
 * rest of the transaction goes on; a failure of the database itself is thrown.
 */
export async function within(t: Tx, part: () => Promise<void>): Promise<unknown> {
  await t.query('savepoint part');
  try {
    await part();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    // Our own errors have codes in words; Node's begin with E; the database's have five characters.
    const isDatabase = code !== undefined && (/^[0-9A-Z]{5}$/.test(code) || /^E[A-Z]+$/.test(code));
    const isBroken = isDatabase ? !OF_VALUES.test(code) : code === undefined && isConnection(error);
    if (isBroken) throw error;
    await t.query('rollback to savepoint part');
    return error;
  }
  await t.query('release savepoint part');
  return undefined;
}

/** A lost connection is an error without a code; what a value causes has a type of its own. */
function isConnection(error: unknown): boolean {
  return !(error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError);
}
