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
const BATCH = 400;
const BATCH_BYTES = 700_000;
const SEALER_MS = 120_000;
const TELL_AGAIN_MS = 10_000;
const FINISH_MS = 15_000;

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
  /** Values that are too long for the third lock. */
  readonly long?: number;
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
  #toldAt = 0;
  #finishAt = 0;

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
    if (rows.length > 0) {
      // Two at a time: while one is with the ledger the sealer works on the other.
      const half = Math.ceil(rows.length / 2);
      const parts = [rows.slice(0, half), rows.slice(half)].filter(({ length }) => length > 0);
      await Promise.all(parts.map((part) => this.#carry(current.number, part)));
      const last = rows.at(-1)!;
      this.#after = { subject: last.subject, field: last.field };
    } else if (this.#after.subject === '') await this.#finish(current.number);
    else {
      // Once more from the beginning: rows that were sealed anew are looked at as the database has kept them.
      this.#after = { subject: '', field: '' };
      return 1;
    }
    return rows.length;
  }

  async #tell(notice: unknown): Promise<void> {
    // Said again now and then: whoever owns the database may have written another notice over it.
    const again = Date.now() - this.#toldAt > TELL_AGAIN_MS;
    const { number } = withOrgKey(this.#keys, notice, again ? 1 : this.#told);
    if (number === 1 || (number === this.#told && !again)) return;
    this.#toldAt = Date.now();
    await this.#pool.query('select people.put_notice($1, $2)', [number, JSON.stringify(notice)]);
    if (number === this.#told) return;
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
    if (answer.long)
      this.#log.warn('values are too long for the third lock and stay without it', { values: answer.long });
    const name = (row: Omit<SealedRow, 'row'>) => `${row.subject}|${row.field}|${row.version}`;
    const before = new Map(rows.map((row) => [name(row), row.row]));
    await tx(this.#pool, async (t) => {
      const { rows: fresh } = answer;
      const column = <K extends 'subject' | 'field' | 'version'>(list: readonly Omit<SealedRow, 'row'>[], key: K) =>
        list.map((one) => one[key]);
      await t.query(
        `select people.put_resealed(x.s, x.f, x.v, x.b, x.r)
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[]) as x(s, f, v, b, r)`,
        [
          ...[column(fresh, 'subject'), column(fresh, 'field'), column(fresh, 'version')],
          ...[fresh.map((row) => before.get(name(row))), fresh.map((row) => Buffer.from(fromBase64url(row.row)))],
        ],
      );
      const known = [...answer.current, ...answer.broken];
      await t.query(
        'select people.mark_resealed(x.s, x.f, x.v, $4) from unnest($1::text[], $2::text[], $3::bigint[]) as x(s, f, v)',
        [column(known, 'subject'), column(known, 'field'), column(known, 'version'), number],
      );
    });
  }

  async #finish(number: number): Promise<void> {
    // The ledger looks through everything for this; writers have ten minutes in any case.
    if (Date.now() < this.#finishAt) return;
    this.#finishAt = Date.now() + FINISH_MS;
    const { retired } = await this.#guards.sealer.call<Resealed>('reseal', { rows: [] }, { timeoutMs: SEALER_MS });
    if (!retired) return;
    await this.#pool.query('select people.key_retired($1)', [number]);
    this.#log.info('the organisation key before is destroyed', { number: number - 1 });
  }
}
