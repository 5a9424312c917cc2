import { type Assertion, type Channel, type Notice, parseNotice } from '#seal';
import type { Pool } from '#store';

/** One message that is ours now, with the sealed address that it needs. */
export interface Taken {
  readonly id: string;
  readonly lane: 'send' | 'notice' | 'auto-send';
  readonly notice_id: string | null;
  readonly subject: string;
  readonly channel: Channel;
  readonly document: unknown;
  readonly assertion: unknown;
  readonly box: Buffer | null;
  readonly attempts: number;
  readonly version: string | number | null;
  readonly row: Buffer | null;
}

export type End = 'sent' | 'failed' | 'uncertain' | 'expired' | 'refused';

/** The queue in the database, as courier may use it. */
export class Queue {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async started(channels: readonly Channel[], again: readonly Channel[]): Promise<void> {
    await this.#pool.query('select courier.started($1, $2)', [channels, again]);
  }

  async stands(channels: readonly Channel[]): Promise<void> {
    await this.#pool.query('select courier.stands($1)', [channels]);
  }

  async expand(): Promise<number> {
    const { rows } = await this.#pool.query<{ n: number }>('select courier.expand() as n');
    return rows[0]!.n;
  }

  async take(channels: readonly Channel[], limit: number): Promise<Taken[]> {
    return (await this.#pool.query<Taken>('select * from courier.take($1, $2)', [channels, limit])).rows;
  }

  /** A notice with its signatures; undefined if it is not under way. Throws SealError for one that is none. */
  async notice(id: string): Promise<{ notice: Notice; assertions: Assertion[] } | undefined> {
    const { rows } = await this.#pool.query<{ document: unknown; assertions: Assertion[] }>(
      'select document, assertions from courier.notice($1)',
      [id],
    );
    return rows[0] === undefined
      ? undefined
      : { notice: parseNotice(rows[0].document), assertions: rows[0].assertions };
  }

  /** True if it is still ours to send. */
  async sending(id: string): Promise<boolean> {
    const { rows } = await this.#pool.query<{ ours: boolean }>('select courier.sending($1) as ours', [id]);
    return rows[0]!.ours;
  }

  async again(id: string, reason: string, seconds: number): Promise<void> {
    await this.#pool.query('select courier.again($1, $2, $3)', [id, reason, Math.round(seconds)]);
  }

  async finish(id: string, end: End, reason: string | null): Promise<void> {
    await this.#pool.query('select courier.finish($1, $2, $3)', [id, end, reason]);
  }
}
