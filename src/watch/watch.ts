import { uuidv7 } from '#base';
import { emit, type LogEvent, readEvents } from '#log';
import { type Pool, type Tx, tx } from '#store';
import { Engine, type Finding, fieldsOf } from './engine.ts';
import type { Rule } from './rule.ts';

const BATCH = 500;

/** Follows the event table with rules. One at a time: a second one finds the cursor locked and waits. */
export class Watch {
  readonly #pool: Pool;
  readonly #rules: readonly Rule[];
  #engine: Engine | undefined;
  #position = 0;

  constructor(pool: Pool, rules: readonly Rule[]) {
    this.#pool = pool;
    this.#rules = rules;
  }

  /**
   * Looks at the next events; returns how many. Cursor, alerts and their events commit together. After a crash or
   * an error the correlation state is rebuilt from the events of the longest timespan, so nothing is missed, and the
   * alerts' unique key (rule, group, window) keeps anything from being raised twice.
   */
  async step(): Promise<number> {
    try {
      const engine = this.#engine ?? (await this.#rebuild());
      return await tx(this.#pool, (t) => this.#advance(t, engine));
    } catch (error) {
      this.#engine = undefined;
      throw error;
    }
  }

  async #advance(t: Tx, engine: Engine): Promise<number> {
    const { rows } = await t.query<{ position: number }>(
      `select position from watch.cursor where name = 'rules' for update`,
    );
    if (rows[0]!.position !== this.#position) throw new Error('the cursor moved under us');
    const events = await readEvents(t, { after: this.#position, limit: BATCH });
    if (events.length === 0) return 0;
    for (const event of events) {
      for (const finding of engine.see(fieldsOf(event), event.time.getTime())) await raise(t, finding, event);
    }
    const last = events.at(-1)!.position;
    await t.query(`update watch.cursor set position = $1, moved_at = clock_timestamp() where name = 'rules'`, [last]);
    this.#position = last;
    return events.length;
  }

  async #rebuild(): Promise<Engine> {
    await this.#pool.query(`insert into watch.cursor (name) values ('rules') on conflict do nothing`);
    const { rows } = await this.#pool.query<{ position: number }>(
      `select position from watch.cursor where name = 'rules'`,
    );
    this.#position = rows[0]!.position;
    const engine = new Engine(this.#rules);
    const { rows: past } = await this.#pool.query<LogEvent>(
      `select position, uid, time, kind, severity_id as severity, source, actor, device, subject, leaf, body from log.event
       where position <= $1 and time > (select coalesce(max(time), now()) from log.event where position = $1) - $2 * interval '1 millisecond'
       order by position`,
      [this.#position, engine.longest],
    );
    for (const event of past) engine.see(fieldsOf(event), event.time.getTime());
    this.#engine = engine;
    return engine;
  }
}

/** Writes an alert and its event. The alert's own event is not watched for alerts: rules look at other kinds. */
async function raise(t: Tx, finding: Finding, event: LogEvent): Promise<void> {
  const id = uuidv7();
  const { rule } = finding;
  const { rowCount } = await t.query(
    `insert into watch.alert (id, rule, title, level, group_key, window_start, event_uid, event_position, event_time, actor,
       device, events, detail) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (rule, group_key, window_start) do nothing`,
    [
      ...[
        id,
        rule.name,
        rule.title,
        rule.level,
        finding.group,
        new Date(finding.windowStart),
        event.uid,
        event.position,
      ],
      ...[event.time, event.actor, event.device, finding.events, JSON.stringify({ tags: rule.tags, kind: event.kind })],
    ],
  );
  if (!rowCount) return;
  await emit(t, {
    kind: 'watch.alert',
    actor: event.actor,
    device: event.device,
    detail: { alert: id, rule: rule.name, level: rule.level, events: finding.events },
  });
  await t.query("select pg_notify('bartizan_alert', '')");
}
