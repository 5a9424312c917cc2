import type { Logger } from '#base';
import type { Permit } from '#seal';
import type { Pool } from '#store';
import type { CommandResult } from '#wire';
import { Batch, ofOneRow } from './batch.ts';

/** What the database says to one check-in: whose it is, and the next command if there is one. */
export interface Turn {
  /** `own`, or a refusal: `unknown`, `foreign`. */
  readonly verdict: string;
  readonly handle: string | null;
  readonly uuid: string | null;
  readonly request_type: string;
  /** Null for one device's part in a fan-out. */
  readonly body: Buffer | null;
  readonly signature: Buffer | null;
  readonly permit: Permit | null;
  readonly fan_out: string | null;
}

interface Asking {
  readonly certificate: Buffer;
  readonly udid: string;
  /** Null for the device's own channel. */
  readonly channel: Buffer | null;
  /** Whether commands that were put off with NotNow may be offered again. */
  readonly idle: boolean;
}

interface Answering {
  readonly certificate: Buffer;
  readonly channel: Buffer | null;
  readonly result: CommandResult;
}

const MOST = 64;
const SEEN_EVERY_MS = 2_000;
const SEEN_MOST = 1_000;
const KNOWN_MOST = 200_000;
const DEADLOCK = '40P01';

/**
 * Edge's side of the command loop: check-ins that arrive together share a statement. An idle check-in is a read and
 * writes nothing; when devices were last heard of is written apart, every 2 s or 1000 devices, so that a crash loses
 * seconds of it at most.
 */
export class Turns {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #idle: Batch<Asking, Turn>;
  readonly #answers: Batch<Answering, Turn>;
  readonly #deliveries: Batch<string, boolean>;
  readonly #refused: Batch<Asking, void>;
  readonly #timer: NodeJS.Timeout;
  #seen = new Map<string, Buffer>();
  /** Certificates that were some device's own at their last turn. */
  readonly #known = new Set<string>();

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    const lanes = { most: MOST, lanes: 1, alone: ofOneRow };
    this.#idle = new Batch((asked) => this.#next(asked), lanes);
    this.#answers = new Batch((answered) => this.#take(answered), lanes);
    this.#deliveries = new Batch((uuids) => this.#deliver(uuids), lanes);
    this.#refused = new Batch((asked) => this.#refuse(asked), lanes);
    this.#timer = setInterval(() => void this.flush(), SEEN_EVERY_MS);
    this.#timer.unref();
  }

  /** Takes a device's answer, or its Idle, and gives its next command. */
  async turn(certificate: Buffer, result: CommandResult, channel: Buffer | null): Promise<Turn> {
    const { udid, status } = result;
    const quiet = status === 'Idle' && result.findings.length === 0;
    const ask = () =>
      quiet
        ? this.#idle.ask({ certificate, udid, channel, idle: true })
        : this.#answers.ask({ certificate, channel, result });
    let turn = await ask();
    // A certificate that nobody knows may be a renewed one that is seen for the first time.
    if (turn.verdict === 'unknown' && (await this.#adopt(certificate, udid, status === 'Idle'))) turn = await ask();
    if (turn.verdict === 'own') this.#heard(certificate);
    else await this.#refused.ask({ certificate, udid, channel, idle: false });
    return turn;
  }

  /** Before a check-in, which is refused in the database: takes up a renewed certificate that this process does not know. */
  async acquaint(certificate: Buffer, udid: string): Promise<void> {
    if (!this.#known.has(certificate.toString('latin1'))) await this.#adopt(certificate, udid, false);
  }

  async #adopt(certificate: Buffer, udid: string, idle: boolean): Promise<boolean> {
    const { rows } = await this.#write<{ adopted: boolean }>('select edge.adopt_certificate($1, $2, $3) as adopted', [
      ...[certificate, udid, idle],
    ]);
    return rows[0]?.adopted === true;
  }

  /** The next command again, after the one before was refused. */
  again(certificate: Buffer, udid: string, idle: boolean, channel: Buffer | null): Promise<Turn> {
    return this.#idle.ask({ certificate, udid, channel, idle });
  }

  /** Marks a command as handed out; false if it was cancelled meanwhile. */
  delivered(uuid: string): Promise<boolean> {
    return this.#deliveries.ask(uuid);
  }

  /** Marks a command that must not reach its device. */
  async refuseCommand(uuid: string, why: string): Promise<void> {
    await this.#pool.query('select edge.refuse_unsigned($1, $2)', [uuid, why]);
  }

  /** Writes down who was heard of. */
  async flush(): Promise<void> {
    const seen = [...this.#seen.values()];
    if (seen.length === 0) return;
    this.#seen = new Map();
    try {
      await this.#write('select edge.seen($1)', [seen]);
    } catch (error) {
      this.#log.error('last-seen times could not be written', error);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  #heard(certificate: Buffer): void {
    const id = certificate.toString('latin1');
    this.#seen.set(id, certificate);
    if (this.#known.size >= KNOWN_MOST) this.#known.clear();
    this.#known.add(id);
    if (this.#seen.size >= SEEN_MOST) void this.flush();
  }

  async #next(asked: readonly Asking[]): Promise<Turn[]> {
    const { rows } = await this.#pool.query<Turn>('select * from edge.next_commands($1, $2, $3, $4) order by ord', [
      asked.map(({ certificate }) => certificate),
      asked.map(({ udid }) => udid),
      asked.map(({ idle }) => idle),
      asked.map(({ channel }) => channel),
    ]);
    return rows;
  }

  async #take(answered: readonly Answering[]): Promise<Turn[]> {
    const answers = answered.map(({ certificate, channel, result }) => ({
      certificate: certificate.toString('hex'),
      udid: result.udid,
      channel: channel?.toString('hex') ?? null,
      status: result.status,
      command: result.commandUuid ?? null,
      errors: result.errors,
      kind: result.inventory?.kind ?? null,
      facts: result.inventory?.facts ?? null,
      findings: result.findings,
    }));
    const { rows } = await this.#write<Turn>('select * from edge.take_answers($1) order by ord', [
      JSON.stringify(answers),
    ]);
    return rows;
  }

  async #deliver(uuids: readonly string[]): Promise<boolean[]> {
    const { rows } = await this.#write<{ uuid: string }>('select uuid from edge.deliver($1)', [uuids]);
    const sent = new Set(rows.map(({ uuid }) => uuid));
    return uuids.map((uuid) => sent.has(uuid));
  }

  async #refuse(asked: readonly Asking[]): Promise<undefined[]> {
    await this.#pool.query('select edge.refuse_turns($1, $2)', [
      asked.map(({ certificate }) => certificate),
      asked.map(({ udid }) => udid),
    ]);
    return asked.map(() => undefined);
  }

  /** One writing statement; a deadlock with another one is its own transaction rolled back, so it is simply run again. */
  async #write<T extends object>(sql: string, params: readonly unknown[]): Promise<{ rows: T[] }> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#pool.query<T>(sql, params);
      } catch (error) {
        if (attempt >= 5 || !(error instanceof Error && 'code' in error && error.code === DEADLOCK)) throw error;
      }
    }
  }
}
