import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { toBase64url, uuidv7 } from '#base';
import { type GuardClient, guardClient } from '#seal';
import { openPool, type Pool } from '#store';
import { verifyLogDir } from '../src/run/log-verify.ts';
import { type Product, startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { machine } from './measure.ts';

const BATCH = 256;

/** When a checkpoint first covered so many leaves, by the file that everybody reads. */
class Covered {
  readonly #file: string;
  readonly seen: { readonly size: number; readonly at: number }[] = [];
  #open = true;
  readonly #run: Promise<void>;

  constructor(folder: string) {
    this.#file = join(folder, 'checkpoint');
    this.#run = this.#follow();
  }

  async #follow(): Promise<void> {
    while (this.#open) {
      const size = Number(readFileSync(this.#file, 'utf8').split('\n')[1]);
      if (size !== this.seen.at(-1)?.size) this.seen.push({ size, at: Date.now() });
      await sleep(5);
    }
  }

  get size(): number {
    return this.seen.at(-1)?.size ?? 0;
  }

  /** When the leaf with this index was under a checkpoint. */
  at(leaf: number): number | undefined {
    return this.seen.find(({ size }) => size > leaf)?.at;
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#run;
  }
}

const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

let n = 0;
const batchOf = (count: number) =>
  Array.from({ length: count }, () => ({
    ...{ n: ++n, uid: uuidv7(), time: Date.now(), type_uid: 300401, actor: 'admin-ada' },
    digest: toBase64url(randomBytes(32)),
  }));

/** As many leaves as the ledger's process takes over core's socket, each on its disk before it is answered. */
async function flood(
  client: GuardClient,
  forMs: number,
  inFlight: number,
): Promise<{ perSecond: number; leaves: number }> {
  const until = performance.now() + forMs;
  const from = performance.now();
  let done = 0;
  const lane = async () => {
    while (performance.now() < until) {
      const leaves = batchOf(BATCH);
      await client.call('append', { from: leaves[0]!.n, leaves }, { timeoutMs: 30_000 });
      done += BATCH;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { perSecond: Math.round((done * 1000) / (performance.now() - from)), leaves: done };
}

/** Events at a steady rate; each one's time from its commit to a checkpoint that covers it. */
async function steady(pool: Pool, covered: Covered, rate: number, forMs: number): Promise<number[]> {
  const committed = new Map<string, number>();
  const until = Date.now() + forMs;
  const waiting: Promise<void>[] = [];
  for (let k = 0, from = Date.now(); Date.now() < until; k += 1) {
    await sleep(Math.max(0, from + (k * 1000) / rate - Date.now()));
    const emitted = pool
      .query<{ uid: string }>("select log.emit('system.started', 'admin-ada', null, null, '{}'::jsonb) as uid")
      .then(({ rows }) => void committed.set(rows[0]!.uid, Date.now()));
    waiting.push(emitted);
  }
  await Promise.all(waiting);
  const uids = [...committed.keys()];
  for (let tries = 0; tries < 100; tries += 1) {
    const { rows } = await pool.query<{ uid: string; leaf: number | null }>(
      'select uid, leaf from log.event where uid = any($1)',
      [uids],
    );
    if (rows.every(({ leaf }) => leaf !== null && covered.size > leaf))
      return rows.map(({ uid, leaf }) => covered.at(leaf!)! - committed.get(uid)!);
    await sleep(100);
  }
  throw new Error('Some events never came under a checkpoint.');
}

/**
 * The evidence log: durable leaves a second into the ledger's own process, and how long after an event's commit a signed
 * checkpoint covers it, with the product's core numbering and shipping. The log is verified after the flood.
 */
export async function logBench(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    options: {
      ms: { type: 'string', default: '8000' },
      flight: { type: 'string', default: '4' },
      rate: { type: 'string', default: '200' },
    },
  });
  const ms = Number(values.ms);
  const dir = openDir('btz-bench-');
  let product: Product | undefined;
  const start = async (name: string, processes: ('ledger' | 'sealer' | 'core')[]) =>
    startProduct({ home: join(dir, name), portBase: await freePorts(), demo: true, processes });
  try {
    product = await start('f', ['ledger']);
    const folder = join(product.home.dir, 'ledger', 'log');
    const client = guardClient(product.home.socket('ledger', 'core'), { name: 'ledger' });
    const following = new Covered(folder);
    const { perSecond, leaves } = await flood(client, ms, Number(values.flight));
    const lag = Date.now();
    while (following.size < leaves && Date.now() - lag < 60_000) await sleep(20);
    const behind = Date.now() - lag;
    await following.close();
    client.close();
    const { ok, entries } = await verifyLogDir(folder, { verifierKey: product.keys.log });
    if (!ok || entries < leaves) throw new Error('The log does not verify after the flood.');
    say(`${perSecond} durable leaves a second, the last checkpoint ${behind} ms after the last of ${leaves}`);
    await product.stop();
    product = await start('s', ['ledger', 'sealer', 'core']);
    const pool = openPool(product.admin, { max: 8, name: 'bench' });
    const covered = new Covered(join(product.home.dir, 'ledger', 'log'));
    const took = await steady(pool, covered, Number(values.rate), ms);
    await covered.close();
    await pool.end();
    say(`${took.length} events, p99 ${percentile(took, 0.99)} ms from commit to signed checkpoint`);
    return {
      leaves_per_s: perSecond,
      checkpoint_p99_ms: percentile(took, 0.99),
      checkpoint_p50_ms: percentile(took, 0.5),
      // with the checkpoint over the last of them: what could go on for ever
      covered_per_s: Math.round((leaves * 1000) / (ms + behind)),
      flood_leaves: leaves,
      flood_checkpoint_behind_ms: behind,
      ...{ events: took.length, options: values, machine: machine() },
      command: `npm run bench -- log ${args.join(' ')}`.trim(),
    };
  } finally {
    await product?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
