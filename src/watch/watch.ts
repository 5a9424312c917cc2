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
  #state: { readonly engine: Engine; readonly position: number } | undefined;

  constructor(pool: Pool, rules: readonly Rule[]) {
    this.#pool = pool;
    this.#rules = rules;
  }

  /**
   * Looks at the next events; returns how many. Cursor, alerts and their events commit together. After a crash or an
   * error the correlation state is rebuilt from the events of the longest timespan and from the alerts that were raised,
   * so nothing is missed, and the alerts' unique key (rule, group, window) keeps anything from being raised twice.
   */
  async step(): Promise<number> {
    let { engine, position } = this.#state ?? {};
    // Known only once it is committed; a transaction that is tried again begins with a rebuilt engine.
    this.#state = undefined;
    return tx(this.#pool, async (t) => {
      const at = await this.#cursor(t);
      if (engine === undefined || position !== at) engine = await rebuild(t, this.#rules, at);
      const used = engine;
      engine = undefined;
      const events = await readEvents(t, { after: at, limit: BATCH });
      for (const event of events) {
        for (const finding of used.see(fieldsOf(event), event.time.getTime())) await raise(t, finding, event);
      }
      const last = events.at(-1)?.position ?? at;
      if (last !== at) {
        await t.query(`update watch.cursor set position = $1, moved_at = clock_timestamp() where name = 'rules'`, [
          last,
        ]);
      }
      return { events: events.length, state: { engine: used, position: last } };
    }).then(({ events, state }) => {
      this.#state = state;
      return events;
    });
  }

  async #cursor(t: Tx): Promise<number> {
    await t.query(`insert into watch.cursor (name) values ('rules') on conflict do nothing`);
    const { rows } = await t.query<{ position: number }>(
      `select position from watch.cursor where name = 'rules' for update`,
    );
    return rows[0]!.position;
  }
}

async function rebuild(t: Tx, rules: readonly Rule[], position: number): Promise<Engine> {
  const engine = new Engine(rules);
  const { rows: last } = await t.query<{ time: Date }>('select time from log.event where position = $1', [position]);
  if (last[0] === undefined) return engine;
  const since = new Date(last[0].time.getTime() - engine.longest);
  for (let after = 0; ; ) {
    const { rows: past } = await t.query<LogEvent>(
      `select position, kind, severity_id as severity, source, actor, device, subject, body, time from log.event
       where position > $1 and position <= $2 and time > $3 order by position limit 2000`,
      [after, position, since],
    );
    for (const event of past) engine.see(fieldsOf(event), event.time.getTime());
    if (past.length === 0) break;
    after = past.at(-1)!.position;
  }
  // What the replay thinks it fired counts for nothing; what was raised does.
  engine.forgetFindings();
  const { rows: raised } = await t.query<{ rule: string; group_key: string; time: Date }>(
    `select rule, group_key, max(event_time) as time from watch.alert where event_time > $1 group by rule, group_key`,
    [since],
  );
  for (const { rule, group_key, time } of raised) engine.fired(rule, group_key, time.getTime());
  return engine;
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
