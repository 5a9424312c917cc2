import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fanOutUuid } from '#seal';
import { toPem } from '#wire';
import { buildPages } from '../src/run/pages.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { type BenchDevice, benchHandle, benchUdid, makeDevices, signedRequest } from './devices.ts';
import { type LoadResult, round, runLoad, type Step } from './load.ts';
import { cpuSeconds, machine, median, residentMib, withChildren } from './measure.ts';
import { lengthenNanomdm, type Peer, seedNanomdm, startNanomdm } from './nanomdm.ts';
import { lengthenOurs, logCaughtUp, type Ours, ours, pinOurs, seedOurs } from './product.ts';

interface Options {
  readonly devices: number;
  readonly active: number;
  readonly history: number;
  readonly rounds: number;
  readonly idleMs: number;
  readonly connections: number;
  readonly workers: number;
  readonly keys: 'rsa' | 'ec';
  readonly fanOut: number;
  readonly peer: boolean;
  readonly long: boolean;
}

/** Both sides of one case: medians over the rounds, which alternate between the sides. */
interface Side {
  readonly ours_per_s: number;
  readonly peer_per_s: number | null;
  readonly ratio: number | null;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly peer_p50_ms: number | null;
  readonly peer_p99_ms: number | null;
  readonly cpu_s_per_1000: number;
  readonly peer_cpu_s_per_1000: number | null;
  /** Processor seconds of PostgreSQL, and of core and the guards, for the same 1000. */
  readonly postgres_s_per_1000: number;
  readonly peer_postgres_s_per_1000: number | null;
  readonly core_and_guards_s_per_1000: number;
  readonly wrong: number;
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    allowNegative: true,
    options: {
      devices: { type: 'string', default: '100000' },
      active: { type: 'string', default: '4000' },
      history: { type: 'string', default: '20' },
      rounds: { type: 'string', default: '3' },
      'idle-ms': { type: 'string', default: '6000' },
      connections: { type: 'string', default: '32' },
      workers: { type: 'string', default: String(availableParallelism()) },
      keys: { type: 'string', default: 'rsa' },
      'fan-out': { type: 'string', default: '100000' },
      peer: { type: 'boolean', default: true },
      long: { type: 'boolean', default: true },
    },
  });
  if (values.keys !== 'rsa' && values.keys !== 'ec') throw new Error("--keys is 'rsa' or 'ec'.");
  return {
    ...{ devices: Number(values.devices), active: Number(values.active), history: Number(values.history) },
    ...{ rounds: Number(values.rounds), idleMs: Number(values['idle-ms']), connections: Number(values.connections) },
    ...{ workers: Number(values.workers), keys: values.keys, fanOut: Number(values['fan-out']) },
    ...{ peer: values.peer, long: values.long },
  };
}

/** Check-ins and command round trips, ours against NanoMDM's, on one PostgreSQL server in one run. */
export async function checkin(args: readonly string[], say: (line: string) => void): Promise<object> {
  const options = readOptions(args);
  await buildPages();
  const home = openDir('btz-bench-');
  const dir = mkdtempSync(join(tmpdir(), 'btz-bench-peer-'));
  const port = await freePorts();
  const product = await startProduct({ home, portBase: port, edgeWorkers: options.workers, demo: true });
  const we = ours(product);
  let peer: Peer | undefined;
  try {
    if (options.peer) {
      say('building and starting NanoMDM');
      const caPem = toPem('CERTIFICATE', we.ca.certificate.der);
      peer = await startNanomdm({ admin: product.admin, dir, caPem, port: port + 4 });
    }
    const bench = new Bench(options, we, peer, port + 2, say);
    await bench.seed();
    const pids = () => withChildren(product.pids()['edge']!);
    const all = product.pids();
    const rest = [all['core']!, all['ledger']!, all['sealer']!];
    const sides: Sides = {
      ours: pids,
      peer: () => (peer === undefined ? [] : withChildren(peer.pid)),
      postgres: () => withChildren(product.postgresPid!),
      rest: () => rest,
    };
    const idle = await bench.idle(sides);
    const roundTrip = await bench.roundTrips(sides);
    const single = await bench.singles(sides);
    const enqueue = await bench.enqueue();
    const long = options.long ? await bench.longHistory(sides) : null;
    const caughtUp = round(await logCaughtUp(we.pool, 120_000));
    const before = { edge: residentMib(pids()), core: residentMib([product.pids()['core']!]) };
    const fan = options.fanOut > 0 ? await bench.fanOut(sides) : null;
    return {
      ...{ idle, round_trip: roundTrip, round_trip_single: single, enqueue_s: enqueue, long_history: long },
      fan_out_100k_s: fan?.done_s ?? null,
      ...{ fan_out: fan, log_caught_up_s: caughtUp },
      rss_mb: residentMib(pids()),
      memory: {
        edge_mb: before.edge,
        core_mb: before.core,
        ...{
          edge_after_fan_out_mb: residentMib(pids()),
          core_after_fan_out_mb: residentMib([product.pids()['core']!]),
        },
        peer_mb: peer === undefined ? null : residentMib([peer.pid]),
      },
      ...{ options, peer: peer?.name ?? null, postgres: product.postgresOrigin, machine: machine() },
      command: `npm run bench -- checkin ${args.join(' ')}`.trim(),
    };
  } finally {
    peer?.stop();
    await we.pool.end();
    await product.stop();
    for (const path of [home, dir]) rmSync(path, { recursive: true, force: true });
  }
}

/** A fleet that is woken comes on many connections. */
const FAN_OUT_CONNECTIONS = 128;

interface Sides {
  readonly ours: () => readonly number[];
  readonly peer: () => readonly number[];
  readonly postgres: () => readonly number[];
  readonly rest: () => readonly number[];
}

type Measured = LoadResult & { readonly cpu: number; readonly postgres: number; readonly rest: number };

class Bench {
  readonly #options: Options;
  readonly #we: Ours;
  readonly #peer: Peer | undefined;
  readonly #port: number;
  readonly #say: (line: string) => void;
  #devices: BenchDevice[] = [];
  #idle: Buffer[] = [];
  #next = 0;

  constructor(options: Options, we: Ours, peer: Peer | undefined, port: number, say: (line: string) => void) {
    this.#options = options;
    this.#we = we;
    this.#peer = peer;
    this.#port = port;
    this.#say = say;
  }

  async seed(): Promise<void> {
    const { devices, active, history, keys } = this.#options;
    this.#say(`${active} devices with ${keys} identities sign their messages`);
    this.#devices = makeDevices(this.#we.ca, 0, active, keys);
    this.#idle = this.#devices.map((device) => signedRequest(device, 'Idle'));
    this.#say(`${devices} enrolments with ${history} past commands each, on both sides`);
    const rest = Array.from({ length: Math.max(0, devices - active) }, (_, n) => active + n);
    await seedOurs(
      this.#we.pool,
      this.#devices,
      rest.map((n) => ({ handle: benchHandle(n), udid: benchUdid(n) })),
      history,
    );
    if (this.#peer) await seedNanomdm(this.#peer.database, this.#devices, rest.map(benchUdid), history);
  }

  /** Idle check-ins that are answered with nothing. */
  async idle(sides: Sides): Promise<Side> {
    const { rounds, idleMs } = this.#options;
    const go = (port: number, forMs: number) =>
      this.#load(port, (n) => [{ request: this.#idle[n % this.#idle.length]!, expects: 'nothing' }], forMs);
    for (const port of this.#ports()) await go(port, 1_500);
    return this.#alternate('idle', sides, rounds, (port) => go(port, idleMs));
  }

  /** Idle, the command, its acknowledgement, nothing: one command to all active devices a round. */
  roundTrips(sides: Sides): Promise<Side> {
    return this.#alternate('round trip', sides, this.#options.rounds, (port, mine, ready) =>
      this.#trip(port, mine, this.#devices, false, ready),
    );
  }

  /** The same on our side with each command signed and logged singly. */
  async singles(sides: Sides): Promise<Side> {
    const some = this.#devices.slice(0, 2_000);
    return this.#alternate('round trip, single commands', sides, this.#options.rounds, (port, mine, ready) =>
      this.#trip(port, mine, some, true, ready),
    );
  }

  async #trip(
    port: number,
    mine: boolean,
    devices: readonly BenchDevice[],
    single: boolean,
    ready: () => void,
  ): Promise<LoadResult> {
    const uuidOf = await this.#queue(mine, devices, single);
    const steps = devices.map((device): Step[] => [
      { request: this.#idle[this.#devices.indexOf(device)]!, expects: 'command' },
      { request: signedRequest(device, 'Acknowledged', uuidOf(device)), expects: 'nothing' },
    ]);
    ready();
    return this.#load(port, (n) => steps[n]);
  }

  async #queue(
    mine: boolean,
    devices: readonly BenchDevice[],
    single: boolean,
  ): Promise<(device: BenchDevice) => string> {
    if (!mine) {
      const uuid = `5eed0000-0000-4000-8000-${(this.#next++).toString(16).padStart(10, '0')}00`;
      await this.#peer!.enqueue(
        uuid,
        devices.map(({ udid }) => udid),
      );
      return () => uuid;
    }
    if (!single) {
      const { id } = await this.#we.enqueue(devices.map(({ handle }) => handle));
      return ({ handle }) => fanOutUuid(id, handle);
    }
    const all = new Map<string, string>();
    for (let at = 0; at < devices.length; at += 100) {
      const { uuids } = await this.#we.enqueue(devices.slice(at, at + 100).map(({ handle }) => handle));
      for (const [handle, uuid] of uuids) all.set(handle, uuid);
    }
    return ({ handle }) => all.get(handle)!;
  }

  /** Seconds to queue one command for 1, 1000 and all devices, from the request to the last row. */
  async enqueue(): Promise<object> {
    const out: Record<string, number | null> = {};
    for (const count of [1, 1_000, this.#options.devices]) {
      const handles = Array.from({ length: count }, (_, n) => benchHandle(n));
      const { seconds, id } = await this.#we.enqueue(count === this.#options.devices ? 'all' : handles);
      out[`ours_${count}`] = round(seconds, 3);
      await this.#forget(id);
      if (this.#peer === undefined) continue;
      const uuid = `5eed0000-0000-4000-9000-${(this.#next++).toString(16).padStart(10, '0')}00`;
      out[`peer_${count}`] = round(
        await this.#peer.enqueue(
          uuid,
          Array.from({ length: count }, (_, n) => benchUdid(n)),
        ),
        3,
      );
      await this.#forgetPeer();
    }
    this.#say(`enqueue ${JSON.stringify(out)}`);
    return out;
  }

  async #forget(intent: string): Promise<void> {
    await this.#we.pool.query(
      `update fleet.command set state = 'cancelled', done_at = now() where (intent_id = $1 or fan_out_id = $1) and done_at is null`,
      [intent],
    );
  }

  async #forgetPeer(): Promise<void> {
    const { openPool } = await import('#store');
    const pool = openPool(this.#peer!.database, { max: 1 });
    await pool.query(
      `delete from enrollment_queue q using commands c where c.command_uuid = q.command_uuid and c.command_uuid like '5eed0000-0000-4000-9%'`,
    );
    await pool.end();
  }

  /** Round trips of devices with 2000 past commands against those of the same devices before. */
  async longHistory(sides: Sides): Promise<object> {
    const few = this.#devices.slice(0, 500);
    const trip = (name: string) =>
      this.#alternate(name, sides, this.#options.rounds, (port, mine, ready) =>
        this.#trip(port, mine, few, false, ready),
      );
    const short = await trip(`500 devices with about ${this.#options.history} past commands`);
    this.#say('2000 past commands each');
    await lengthenOurs(
      this.#we.pool,
      few.map(({ handle }) => handle),
      this.#options.history + 1,
      2_000,
    );
    if (this.#peer)
      await lengthenNanomdm(
        this.#peer.database,
        few.map(({ udid }) => udid),
        this.#options.history + 1,
        2_000,
      );
    return { before: short, after: await trip('500 devices with 2000 past commands') };
  }

  /** A command to every device until the last has acknowledged it; all identities P-256, each its own key. */
  async fanOut(sides: Sides): Promise<{ done_s: number }> {
    const { fanOut } = this.#options;
    this.#say(`${fanOut} devices with P-256 identities make ready for one command`);
    const devices = makeDevices(this.#we.ca, 0, fanOut, 'ec');
    await pinOurs(this.#we.pool, devices);
    const idle = devices.map((device) => signedRequest(device, 'Idle'));
    // The answers need the command's identifiers, so the clock stops between queueing and the first check-in.
    const queued = await this.#we.enqueue('all');
    const answers = devices.map((device) =>
      signedRequest(device, 'Acknowledged', fanOutUuid(queued.id, device.handle)),
    );
    this.#say(`queued in ${round(queued.seconds)} s; all check in`);
    const used = () => [sides.ours(), sides.postgres(), sides.rest(), [process.pid]].map(cpuSeconds);
    const before = used();
    const result = await runLoad({
      ...{ port: this.#port, connections: FAN_OUT_CONNECTIONS },
      conversation: (n) =>
        n >= devices.length
          ? undefined
          : [
              { request: idle[n]!, expects: 'command' },
              { request: answers[n]!, expects: 'nothing' },
            ],
    });
    const [edge, postgres, core, driver] = used().map((seconds, n) => round(seconds - before[n]!));
    const { rows } = await this.#we.pool.query<{ n: number }>(
      `select count(*)::int as n from fleet.command where fan_out_id = $1 and state = 'acknowledged'`,
      [queued.id],
    );
    const lag = await logCaughtUp(this.#we.pool, 120_000);
    const out = {
      ...{ devices: fanOut, acknowledged: rows[0]!.n, queued_s: round(queued.seconds), reached_s: result.seconds },
      done_s: round(queued.seconds + result.seconds),
      ...{ p99_ms: result.p99Ms, wrong: result.wrong, log_caught_up_s: round(lag) },
      cpu_s: { edge, postgres, core_and_guards: core, driver },
    };
    this.#say(`fan-out ${JSON.stringify(out)}`);
    return out;
  }

  #ports(): number[] {
    return this.#peer === undefined ? [this.#port] : [this.#port, this.#peer.port];
  }

  #load(port: number, conversation: (n: number) => readonly Step[] | undefined, forMs?: number): Promise<LoadResult> {
    return runLoad({
      ...{ port, connections: this.#options.connections, conversation },
      ...(forMs === undefined ? {} : { forMs }),
    });
  }

  async #alternate(
    name: string,
    sides: Sides,
    rounds: number,
    go: (port: number, mine: boolean, ready: () => void) => Promise<LoadResult>,
  ): Promise<Side> {
    const results = { ours: [] as Measured[], peer: [] as Measured[] };
    for (let n = 0; n < rounds; n += 1) {
      for (const side of this.#peer === undefined ? (['ours'] as const) : (['ours', 'peer'] as const)) {
        const used = () => [sides[side](), sides.postgres(), sides.rest()].map(cpuSeconds) as [number, number, number];
        // Queueing and signing come first inside `go`; what they cost core is not the check-ins'.
        let before = used();
        const result = await go(side === 'ours' ? this.#port : this.#peer!.port, side === 'ours', () => {
          before = used();
        });
        const after = used();
        const cost = (n: 0 | 1 | 2) => ((after[n] - before[n]) * 1000) / result.conversations;
        results[side].push({ ...result, cpu: cost(0), postgres: cost(1), rest: cost(2) });
        if (result.wrong > 0) this.#say(`  ${side}: ${result.wrong} wrong, first: ${result.firstWrong}`);
      }
    }
    const of = (side: 'ours' | 'peer', value: (one: Measured) => number) =>
      results[side].length === 0 ? null : round(median(results[side].map(value)));
    const mine = of('ours', (one) => one.perSecond)!;
    const theirs = of('peer', (one) => one.perSecond);
    const side: Side = {
      ...{ ours_per_s: mine, peer_per_s: theirs, ratio: theirs === null ? null : round(mine / theirs) },
      ...{ p50_ms: of('ours', (one) => one.p50Ms)!, p99_ms: of('ours', (one) => one.p99Ms)! },
      ...{ peer_p50_ms: of('peer', (one) => one.p50Ms), peer_p99_ms: of('peer', (one) => one.p99Ms) },
      cpu_s_per_1000: of('ours', (one) => one.cpu)!,
      peer_cpu_s_per_1000: of('peer', (one) => one.cpu),
      postgres_s_per_1000: of('ours', (one) => one.postgres)!,
      peer_postgres_s_per_1000: of('peer', (one) => one.postgres),
      core_and_guards_s_per_1000: of('ours', (one) => one.rest)!,
      wrong: [...results.ours, ...results.peer].reduce((sum, { wrong }) => sum + wrong, 0),
    };
    this.#say(`${name} ${JSON.stringify(side)}`);
    return side;
  }
}
