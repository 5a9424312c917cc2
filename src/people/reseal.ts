import { fromBase64url, type Logger, toBase64url } from '#base';
import {
  type Field,
  type GuardClient,
  joinNotice,
  type OrgKeyStatement,
  type PublicKeys,
  type SealedRow,
  withOrgKey,
} from '#seal';
import { type Pool, tx } from '#store';

/** Rows of one frame: secrets of devices are long, and a token derives one point after another. */
const BATCH = 200;
const BATCH_BYTES = 400_000;
const SEALER_MS = 120_000;

interface Row {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly row: Buffer;
}

interface Vouched {
  readonly statement: OrgKeyStatement;
  readonly signature: string;
}

interface SealerStatus {
  readonly keys: { readonly state: string; readonly current: { readonly number: number }; readonly old?: object };
  readonly notice?: Vouched;
}

interface Resealed {
  readonly rows: readonly SealedRow[];
  readonly current: readonly Omit<SealedRow, 'row'>[];
  readonly broken: readonly Omit<SealedRow, 'row'>[];
  readonly retired: boolean;
}

/**
 * Follows a change of the organisation's key: tells writers what both guards signed, and carries rows to the guards and back
 * until none is left under the old key. Core carries ciphertext and decides nothing.
 *
 * Crash points. A row that was sealed anew but not stored is sealed anew again; the guards count a row only when they find it
 * under the new key as the database has it, so the old key is never destroyed before the database has all rows.
 */
export class KeyChange {
  readonly #pool: Pool;
  readonly #guards: { readonly sealer: GuardClient; readonly ledger: GuardClient };
  readonly #keys: PublicKeys;
  readonly #log: Logger;
  #after = { subject: '', field: '' };
  #told = 1;

  constructor(options: {
    readonly pool: Pool;
    readonly guards: { readonly sealer: GuardClient; readonly ledger: GuardClient };
    readonly keys: PublicKeys;
    readonly log: Logger;
  }) {
    this.#pool = options.pool;
    this.#guards = options.guards;
    this.#keys = options.keys;
    this.#log = options.log;
  }

  /** One batch. Returns how many rows it looked at. */
  async step(): Promise<number> {
    const { sealer, ledger } = this.#guards;
    const status = await sealer.call<SealerStatus>('status', {});
    const { orgKey } = await ledger.call<{ orgKey: { number: number; running: boolean; notice?: Vouched } }>(
      'status',
      {},
    );
    await this.#tell(joinNotice(status.notice, orgKey.notice));
    const { current, old, state } = status.keys;
    // Only what both guards agree about is worked on.
    if (old === undefined || state !== 'open' || orgKey.number !== current.number) return 0;
    const rows = await this.#take(current.number);
    if (rows.length > 0) await this.#carry(current.number, rows);
    else if (this.#after.subject === '') await this.#finish(current.number);
    else this.#after = { subject: '', field: '' };
    return rows.length;
  }

  async #tell(notice: unknown): Promise<void> {
    const { number } = withOrgKey(this.#keys, notice, this.#told);
    if (number === this.#told) return;
    await this.#pool.query('select people.put_notice($1, $2)', [number, JSON.stringify(notice)]);
    this.#told = number;
    this.#log.info('a new organisation key is in force', { number });
  }

  async #take(number: number): Promise<readonly Row[]> {
    const { rows } = await this.#pool.query<Row>('select * from people.rows_to_reseal($1, $2, $3, $4)', [
      ...[number, this.#after.subject, this.#after.field, BATCH],
    ]);
    let bytes = 0;
    return rows.filter(({ row }, i) => {
      bytes += row.length;
      return i === 0 || bytes <= BATCH_BYTES;
    });
  }

  async #carry(number: number, rows: readonly Row[]): Promise<void> {
    const sent = rows.map(({ subject, field, version, row }) => ({ subject, field, version, row: toBase64url(row) }));
    const answer = await this.#guards.sealer.call<Resealed>('reseal', { rows: sent }, { timeoutMs: SEALER_MS });
    const name = (row: Omit<SealedRow, 'row'>) => `${row.subject}|${row.field}|${row.version}`;
    const before = new Map(rows.map((row) => [name(row), row.row]));
    await tx(this.#pool, async (t) => {
      for (const fresh of answer.rows) {
        await t.query('select people.put_resealed($1, $2, $3, $4, $5)', [
          ...[fresh.subject, fresh.field, fresh.version, before.get(name(fresh))],
          Buffer.from(fromBase64url(fresh.row)),
        ]);
      }
      for (const { subject, field, version } of [...answer.current, ...answer.broken]) {
        await t.query('select people.mark_resealed($1, $2, $3, $4)', [subject, field, version, number]);
      }
    });
    const last = rows.at(-1)!;
    this.#after = { subject: last.subject, field: last.field };
  }

  async #finish(number: number): Promise<void> {
    const { retired } = await this.#guards.sealer.call<Resealed>('reseal', { rows: [] }, { timeoutMs: SEALER_MS });
    if (!retired) return;
    await this.#pool.query('select people.key_retired($1)', [number]);
    this.#log.info('the organisation key before is destroyed', { number: number - 1 });
  }
}
