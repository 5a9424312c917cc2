import type { Clock } from '#base';
import { emit } from '#log';
import type { Cosignature } from '#proof';
import type { GuardClient } from '#seal';
import { type Pool, tx } from '#store';
import { askWitness } from './ask-witness.ts';
import { EvidenceError } from './error.ts';
import type { EvidenceFolder } from './folder.ts';
import type { SettingsFile, WitnessSettings } from './settings.ts';
import { askLedger, keepCheckpoint, logId, type Shown } from './shown.ts';

export interface EvidenceOptions {
  readonly pool: Pool;
  readonly ledger: GuardClient;
  /** The log's verifier key. */
  readonly key: string;
  readonly folder: EvidenceFolder;
  readonly settings: SettingsFile;
  readonly now: Clock;
}

/** A log that does not grow is shown again after so long: its witnesses say that they still saw nothing else. */
const AGAIN_MS = 5 * 60_000;
const LAST_BACKOFF_MS = 10 * 60_000;
const DAY_MS = 86_400_000;

interface Row {
  readonly name: string;
  readonly size: number;
  readonly signed_at: Date | null;
  readonly failures: number;
}

/**
 * Shows the log's newest checkpoint to every witness that is due, all at once: one that hangs holds up no other. Nothing waits
 * in a queue: whoever was away is shown the newest with a proof from what it cosigned last. Returns how many cosigned.
 */
export async function showWitnesses(options: EvidenceOptions): Promise<number> {
  const { pool, key, now } = options;
  const { witnesses, everySeconds } = options.settings.now();
  const log = logId(key);
  await pool.query('update evidence.witness set active = false where active and not name = any($1)', [
    witnesses.map(({ name }) => name),
  ]);
  if (witnesses.length === 0) return 0;
  // Another log, after a restore, begins anew for everybody.
  await pool.query(
    `insert into evidence.witness as w (name, log, since, next_at) select name, $2, $3, $3 from unnest($1::text[]) as name
     on conflict (name) do update set active = true, log = $2,
       size = case when w.log = $2 then w.size else 0 end,
       since = case when w.active and w.log = $2 then w.since else $3 end,
       signed_at = case when w.active and w.log = $2 then w.signed_at end
     where not w.active or w.log <> $2`,
    [witnesses.map(({ name }) => name), log, new Date(now())],
  );
  const { rows } = await pool.query<Row>(
    'select name, size, signed_at, failures from evidence.witness where active and next_at <= $1',
    [new Date(now())],
  );
  const done = await Promise.all(
    rows.map(async (row) => {
      const witness = witnesses.find(({ name }) => name === row.name);
      if (witness === undefined) return undefined;
      try {
        return await showOne(options, log, witness, row, everySeconds);
      } catch (error) {
        if (!(error instanceof EvidenceError)) throw error;
        await failed(options, row, error.code);
        return undefined;
      }
    }),
  );
  const sizes = done.filter((size) => size !== undefined);
  for (const size of new Set(sizes)) await writeCosigned(options, log, size);
  return sizes.length;
}

/** Resolves to the size that was cosigned now, if one was. */
async function showOne(
  options: EvidenceOptions,
  log: string,
  witness: WitnessSettings,
  row: Row,
  everySeconds: number,
): Promise<number | undefined> {
  const { pool, ledger, key, now } = options;
  const next = new Date(now() + everySeconds * 1_000);
  for (let old = row.size, attempt = 1; ; attempt += 1) {
    const shown = await askLedger(pool, ledger, key, old);
    // It knows more of this log than there is: the log went back in time.
    if (shown.size < old) throw new EvidenceError('ahead', `${witness.name} cosigned more of the log than there is.`);
    if (attempt === 1 && shown.size === old && row.signed_at !== null && now() - row.signed_at.getTime() < AGAIN_MS) {
      await pool.query('update evidence.witness set next_at = $2 where name = $1', [witness.name, next]);
      return undefined;
    }
    const said = await askWitness(witness, old, shown);
    if ('cosignatures' in said) {
      await keepCosignatures(options, log, witness, shown, said.cosignatures, next);
      return shown.size;
    }
    if (attempt === 2) throw new EvidenceError('busy', `${witness.name} moves on while it is asked.`);
    // It remembers another size than we do: a lost answer of ours, or another process that asks too.
    old = said.size;
  }
}

/** Silence is judged by our clock, not by the witness's. A crash between rows and file leaves the file as it was; the next showing, minutes later at most, writes it. */
async function keepCosignatures(
  options: EvidenceOptions,
  log: string,
  { name }: WitnessSettings,
  shown: Shown,
  cosignatures: readonly Cosignature[],
  next: Date,
): Promise<void> {
  const { pool, folder, now } = options;
  await keepCheckpoint(pool, folder, log, shown);
  await tx(pool, async (t) => {
    for (const { key, time, line } of cosignatures)
      await t.query(
        `insert into evidence.cosignature (log, size, witness, key, signed_at, line) values ($1, $2, $3, $4, $5, $6)
         on conflict (log, size, witness, key) do update set signed_at = excluded.signed_at, line = excluded.line`,
        [log, shown.size, name, key.id.toString('hex'), new Date(time), line],
      );
    const { rows } = await t.query<{ alarmed: boolean }>(
      `update evidence.witness w set size = $2, signed_at = $3, next_at = $4, failures = 0, code = null, alarmed_at = null
       from (select alarmed_at is not null as alarmed from evidence.witness where name = $1 for update) before
       where name = $1 returning before.alarmed`,
      [name, shown.size, new Date(now()), next],
    );
    if (rows[0]?.alarmed) await emit(t, { kind: 'witness.back', actor: 'core', detail: { witness: name } });
  });
}

/** The checkpoint with all cosignatures that it has. Written by one alone: the last to write has to know the most. */
async function writeCosigned({ pool, folder }: EvidenceOptions, log: string, size: number): Promise<void> {
  const { rows } = await pool.query<{ note: string; lines: string[] }>(
    `select c.note, array_agg(s.line order by s.witness, s.key) as lines from evidence.checkpoint c
     join evidence.cosignature s using (log, size) where c.log = $1 and c.size = $2 group by c.note`,
    [log, size],
  );
  const { note, lines } = rows[0]!;
  await folder.put(log, size, 'cosigned', Buffer.from(note + lines.join('')));
}

async function failed({ pool, now }: EvidenceOptions, { name, failures }: Row, code: string): Promise<void> {
  const pause = Math.min(LAST_BACKOFF_MS, 5_000 * 2 ** Math.min(failures, 10));
  await tx(pool, async (t) => {
    const { rows } = await t.query<{ alarmed_at: Date | null; code: string | null }>(
      'select alarmed_at, code from evidence.witness where name = $1 for update',
      [name],
    );
    const grave = code === 'fork' || code === 'ahead';
    const { alarmed_at: last, code: before } = rows[0]!;
    const tell = grave && (before !== code || last === null || now() - last.getTime() >= DAY_MS);
    if (tell) await emit(t, { kind: 'witness.refused', actor: 'core', detail: { witness: name, code } });
    await t.query(
      `update evidence.witness set failures = failures + 1, code = $2, next_at = $3,
         alarmed_at = case when $4 then $5 else alarmed_at end where name = $1`,
      [name, code, new Date(now() + pause), tell, new Date(now())],
    );
  });
}
