import type { Clock, Logger } from '#base';
import type { Pool } from '#store';
import { sendMail } from './mail.ts';
import type { Notice } from './notice.ts';
import { type Outcome, sendRequest } from './post.ts';
import { requestFor } from './request.ts';
import { type AlarmSettings, type Channel, NO_ALARMS } from './settings.ts';

/** Seconds until the next try: some in the first minutes, and on for about 75 hours. */
const AGAIN = [5, 15, 60, 120, 300, 900, 1_800, 3_600, 7_200, 18_000, 36_000, 50_400, 72_000, 79_200] as const;
const BATCH = 50;
const ESCALATE_MS = 15_000;
/** Longest that an event may wait for watch before the heartbeat stops, seconds. */
const BLIND_S = 60;

interface Row {
  readonly id: string;
  readonly channel: string;
  readonly reason: Notice['reason'];
  readonly tries: number;
  readonly alert: string | null;
  readonly rule: string | null;
  readonly title: string | null;
  readonly level: Notice['level'] | null;
  readonly actor: string | null;
  readonly device: string | null;
  readonly events: number | null;
  readonly event_time: Date | null;
}

/**
 * Tells people and systems outside of alerts. What is to be told stands in the database since the alert; it is taken with a lease,
 * sent, and marked. Killed in between, it is sent again under the same id: at least once, never lost.
 */
export class Alarms {
  readonly #pool: Pool;
  readonly #console: string;
  readonly #organisation: string;
  readonly #now: Clock;
  readonly #log: Logger;
  #settings: AlarmSettings = NO_ALARMS;
  #escalatedAt = 0;
  #beatAt = 0;

  constructor(options: {
    readonly pool: Pool;
    /** The console's origin, for links. */
    readonly console: string;
    readonly organisation: string;
    readonly now: Clock;
    readonly log: Logger;
  }) {
    this.#pool = options.pool;
    this.#console = options.console;
    this.#organisation = options.organisation;
    this.#now = options.now;
    this.#log = options.log;
  }

  /** Uses these channels from now on. */
  async use(settings: AlarmSettings): Promise<void> {
    const channels = settings.channels.map(({ name, kind, least, afterMinutes }) => ({
      ...{ name, kind, least, after_minutes: afterMinutes ?? null },
    }));
    await this.#pool.query('select alarm.set_channels($1)', [JSON.stringify(channels)]);
    this.#settings = settings;
  }

  /** Tells what is due. Returns how many were tried. */
  async step(): Promise<number> {
    const now = this.#now();
    if (now - this.#escalatedAt >= ESCALATE_MS) {
      this.#escalatedAt = now;
      await this.#pool.query('select alarm.escalate()');
    }
    const { rows } = await this.#pool.query<Row>('select * from alarm.take($1)', [BATCH]);
    // All at once: a channel that hangs holds up no other.
    await Promise.all(rows.map((row) => this.#tell(row)));
    return rows.length;
  }

  async #tell(row: Row): Promise<void> {
    const channel = this.#settings.channels.find(({ name }) => name === row.channel);
    const outcome = channel === undefined ? { sent: false, code: 'no-such-channel' } : await this.#send(channel, row);
    const { sent, code } = outcome;
    const again = 'final' in outcome ? undefined : AGAIN[row.tries - 1];
    await this.#pool.query('select alarm.done($1, $2, $3, $4)', [row.id, sent, code, again ?? null]);
    if (!sent) this.#log.warn('an alert was not taken', { channel: row.channel, code, tries: row.tries });
  }

  async #send(channel: Channel, row: Row): Promise<Outcome> {
    const notice = this.#notice(row);
    if (channel.kind === 'email') return sendMail(channel, notice);
    return sendRequest(requestFor(channel, notice, this.#now()), channel.ca);
  }

  #notice({ id, reason, alert, rule, title, level, actor, device, events, event_time: at }: Row): Notice {
    return {
      ...{ id, reason, alert: alert ?? id, rule: rule ?? 'test', level: level ?? 'informational' },
      title: title ?? 'a test of this channel; nothing happened',
      ...{ actor, device, events: events ?? 0, at: at ?? new Date(this.#now()), organisation: this.#organisation },
      link: alert === null ? `${this.#console}/alerts` : `${this.#console}/alerts/${alert}`,
    };
  }

  /** Tells the dead man's switch outside that watch sees, if it does. Returns whether it was told. */
  async beat(): Promise<boolean> {
    const { heartbeat } = this.#settings;
    const now = this.#now();
    if (heartbeat === undefined || now - this.#beatAt < heartbeat.everySeconds * 1000) return false;
    this.#beatAt = now;
    const { rows } = await this.#pool.query<{ blind: number }>('select alarm.blind_seconds() as blind');
    if (rows[0]!.blind > BLIND_S) {
      this.#log.warn('watch does not see what happens: the heartbeat stops', { seconds: Math.round(rows[0]!.blind) });
      return false;
    }
    const outcome = await sendRequest({ url: heartbeat.url, method: 'GET', headers: {}, body: '' }, heartbeat.ca);
    if (!outcome.sent) this.#log.warn('the heartbeat was not taken', { code: outcome.code });
    return outcome.sent;
  }
}
