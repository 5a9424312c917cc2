import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { uuidv7 } from '#base';
import { proposeDeclaration } from '#fleet';
import { type Pool, tx } from '#store';
import { toPem } from '#wire';
import { buildPages } from '../src/run/pages.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { type BenchDevice, benchHandle, benchUdid, makeDevices, signedDeclarative, signedRequest } from './devices.ts';
import { type KmfddmPeer, startKmfddmPeer } from './kmfddm.ts';
import { type LoadResult, round, runLoad, type Step } from './load.ts';
import { cpuSeconds, machine, median, residentMib, withChildren } from './measure.ts';
import { type Peer, seedNanomdm, startNanomdm } from './nanomdm.ts';
import { logCaughtUp, ours, seedOurs } from './product.ts';

function readOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    allowNegative: true,
    options: {
      devices: { type: 'string', default: '10000' },
      active: { type: 'string', default: '1000' },
      declarations: { type: 'string', default: '20' },
      rounds: { type: 'string', default: '3' },
      ms: { type: 'string', default: '4000' },
      connections: { type: 'string', default: '32' },
      workers: { type: 'string', default: String(availableParallelism()) },
      keys: { type: 'string', default: 'rsa' },
      peer: { type: 'boolean', default: true },
      // such as tokens,status_full; all if it is left out
      cases: { type: 'string', default: '' },
    },
  });
  const { keys, peer } = values;
  if (keys !== 'rsa' && keys !== 'ec') throw new Error("--keys is 'rsa' or 'ec'.");
  return {
    ...{ devices: Number(values.devices), active: Number(values.active), declarations: Number(values.declarations) },
    ...{ rounds: Number(values.rounds), ms: Number(values.ms), connections: Number(values.connections) },
    ...({ workers: Number(values.workers), keys, peer } as const),
    cases: values.cases.split(',').filter((name) => name !== ''),
  };
}

interface Declared {
  readonly kind: string;
  readonly identifier: string;
  readonly token: string;
  readonly body: string;
}

/**
 * Declarative management of devices that all have the same declarations, ours against NanoMDM with kmfddm behind it. Both
 * verify each message's signature. NanoMDM is on our PostgreSQL server; kmfddm is on files that it does not sync, while we commit.
 */
export async function ddm(args: readonly string[], say: (line: string) => void): Promise<object> {
  const options = readOptions(args);
  await buildPages();
  const home = openDir('btz-bench-');
  const dir = mkdtempSync(join(tmpdir(), 'btz-bench-peer-'));
  const port = await freePorts();
  const product = await startProduct({ home, portBase: port, edgeWorkers: options.workers, demo: true });
  const we = ours(product);
  let kmfddm: KmfddmPeer | undefined;
  let nanomdm: Peer | undefined;
  try {
    say(
      `${options.active} devices with ${options.keys} identities; ${options.devices} with ${options.declarations} declarations`,
    );
    const devices = makeDevices(we.ca, 0, options.active, options.keys);
    const rest = Array.from({ length: Math.max(0, options.devices - options.active) }, (_, n) => options.active + n);
    const others = rest.map((n) => ({ handle: benchHandle(n), udid: benchUdid(n) }));
    await seedOurs(we.pool, devices, others, 0);
    const declared = await declareAll(we.pool, options);
    if (options.peer) {
      say('building and starting kmfddm and NanoMDM; kmfddm learns of the devices one by one');
      const udids = [...devices, ...others].map(({ udid }) => udid);
      kmfddm = await startKmfddmPeer({
        ...{ dir, port: port + 5, udids, declarations: declared.map(({ body }) => body) },
      });
      const caPem = toPem('CERTIFICATE', we.ca.certificate.der);
      nanomdm = await startNanomdm({ admin: product.admin, dir, caPem, port: port + 4, declarative: `${kmfddm.url}/` });
      await seedNanomdm(
        nanomdm.database,
        devices,
        others.map(({ udid }) => udid),
        0,
      );
    }
    const caught = round(await logCaughtUp(we.pool, 120_000));
    await we.pool.query('vacuum analyze');
    const postgres = () => withChildren(product.postgresPid!);
    const quiet = await quietened(() => [...postgres(), product.pids()['core']!]);
    say(`the log has caught up after ${caught} s, core and PostgreSQL are quiet after ${quiet} s more`);
    const edge = () => withChildren(product.pids()['edge']!);
    const peerPids = [nanomdm?.pid, kmfddm?.pid].flatMap((pid) => pid ?? []);
    const sides: Side[] = [
      { name: 'ours', port: port + 2, pids: edge },
      ...(nanomdm === undefined ? [] : [{ name: 'peer', port: nanomdm.port, pids: () => peerPids } as const]),
    ];
    const cases: Record<string, Case> = {};
    for (const [name, work] of Object.entries(works(devices, declared))) {
      if (options.cases.length > 0 && !options.cases.includes(name)) continue;
      say(`signing for ${name}`);
      cases[name] = await measure(work(), sides, postgres, options);
      say(`${name} ${JSON.stringify(cases[name])}`);
    }
    return {
      cases,
      rss_mb: { ours: residentMib(edge()), peer: peerPids.length === 0 ? null : residentMib(peerPids) },
      peer: nanomdm === undefined ? null : `${nanomdm.name} on our PostgreSQL, ${kmfddm!.name}`,
      ...{ options, postgres: product.postgresOrigin, machine: machine() },
      command: `npm run bench -- ddm ${args.join(' ')}`.trim(),
    };
  } finally {
    nanomdm?.stop();
    await kmfddm?.stop();
    await we.pool.end();
    await product.stop();
    for (const path of [home, dir]) rmSync(path, { recursive: true, force: true });
  }
}

/** Waits until what ten thousand new lists set in motion is done: it would be counted as the first case's. Seconds. */
async function quietened(pids: () => readonly number[]): Promise<number> {
  const startedAt = performance.now();
  for (let idle = 0, waited = 0; idle < 2 && waited < 120; waited += 1) {
    const before = cpuSeconds(pids());
    await sleep(1_000);
    idle = cpuSeconds(pids()) - before < 0.1 ? idle + 1 : 0;
  }
  return round((performance.now() - startedAt) / 1000);
}

/** Declares the same for everyone and waits until core has signed, listed and told. */
async function declareAll(pool: Pool, options: ReturnType<typeof readOptions>): Promise<readonly Declared[]> {
  const ids: string[] = [];
  // Two activations and the subscriptions come from the product itself.
  for (let n = 0; n < options.declarations - 3; n += 1) {
    const { id } = await tx(pool, (t) =>
      proposeDeclaration(t, {
        ...{ identifier: `bench.test.${n}`, type: 'com.apple.configuration.management.test', unchecked: false },
        ...{ payload: { Echo: `Declaration ${n}` }, author: 'bench-admin', now: Date.now() },
      }),
    );
    ids.push(id);
  }
  await pool.query(`select fleet.change_set($1, 'Bench', null, true, $2, '{}', '{}', 'administrator', 'bench-admin')`, [
    ...[uuidv7(), ids],
  ]);
  for (let waited = 0; ; waited += 1) {
    const { rows } = await pool.query<{ n: number; items: number }>(
      `select count(*)::int as n, max(jsonb_array_length(l.items)) as items from fleet.declared_device dd
       join fleet.declared_list l on l.id = dd.list_id where not dd.due and l.nudged_token = l.token`,
    );
    const { n, items } = rows[0]!;
    if (n === options.devices && items === options.declarations) break;
    if (waited > 3_000) throw new Error(`Core has listed ${items} declarations for ${n} devices in five minutes.`);
    await sleep(100);
  }
  const { rows } = await pool.query<Declared>(
    `select i->>'kind' as kind, i->>'identifier' as identifier, i->>'token' as token, convert_from(v.body, 'UTF8') as body
     from (select * from fleet.declared_list limit 1) l, jsonb_array_elements(l.items) i
     join fleet.declaration d on d.identifier = i->>'identifier'
     join fleet.declaration_version v on v.declaration_id = d.id and v.token = i->>'token'`,
  );
  return rows;
}

/** One conversation a device, again and again; a device's later ones may differ. */
type Conversation = (n: number) => readonly Step[];

/** What is measured, signed when its turn comes. */
function works(all: readonly BenchDevice[], declared: readonly Declared[]): Record<string, () => Conversation> {
  const path = ({ kind, identifier }: Declared) => `declaration/${kind}/${identifier}`;
  const asks = (device: BenchDevice, endpoint: string): Step => ({
    ...{ request: signedDeclarative(device, endpoint), expects: 'command' },
  });
  const tells = (device: BenchDevice, report: object): Step => ({
    ...{ request: signedDeclarative(device, 'status', report), expects: 'nothing' },
  });
  /** `of` makes what one device says, as many different times as it has members. */
  const turns = (devices: readonly BenchDevice[], of: (device: BenchDevice, n: number) => Step[][]): Conversation => {
    const made = devices.map(of);
    return (n) => {
      const mine = made[n % made.length]!;
      return mine[Math.floor(n / made.length) % mine.length]!;
    };
  };
  const few = all.slice(0, Math.ceil(all.length / 10));
  return {
    idle: () => turns(all, (device) => [[{ request: signedRequest(device, 'Idle'), expects: 'either' }]]),
    tokens: () => turns(all, (device) => [[asks(device, 'tokens')]]),
    declaration_items: () => turns(all, (device) => [[asks(device, 'declaration-items')]]),
    declaration: () => turns(all, (device, n) => [[asks(device, path(declared[n % declared.length]!))]]),
    status_incremental: () =>
      turns(all, (device) => ['normal', 'service-recommended'].map((health) => [tells(device, changed(health))])),
    status_full: () => turns(all, (device) => [[tells(device, whole(declared))]]),
    // what a new device does: a tenth of the devices, all declarations
    synchronisation: () =>
      turns(few, (device) => [
        [
          ...['tokens', 'declaration-items', ...declared.map(path), 'tokens'].map((endpoint) => asks(device, endpoint)),
          tells(device, whole(declared)),
        ],
      ]),
  };
}

const changed = (health: string) => ({ StatusItems: { device: { power: { 'battery-health': health } } }, Errors: [] });

function whole(declared: readonly Declared[]): object {
  const of = (kind: string) =>
    declared
      .filter((one) => one.kind === kind)
      .map(({ identifier, token }) => ({ identifier, 'server-token': token, active: true, valid: 'valid' }));
  return {
    StatusItems: {
      device: {
        model: { family: 'iPhone', identifier: 'iPhone15,4', 'marketing-name': 'iPhone 15', number: 'MTP03' },
        'operating-system': { family: 'iOS', version: '18.1', 'build-version': '22B83', 'marketing-name': 'iOS 18.1' },
        power: { 'battery-health': 'normal' },
      },
      management: {
        declarations: {
          ...{ activations: of('activation'), assets: of('asset') },
          ...{ configurations: of('configuration'), management: of('management') },
        },
      },
    },
    Errors: [],
    FullReport: true,
  };
}

interface Side {
  readonly name: 'ours' | 'peer';
  readonly port: number;
  readonly pids: () => readonly number[];
}

interface Case {
  readonly ours_per_s: number;
  readonly peer_per_s: number | null;
  readonly ratio: number | null;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly peer_p50_ms: number | null;
  readonly peer_p99_ms: number | null;
  /** Processor seconds for 1000 conversations: the programs, and PostgreSQL. */
  readonly cpu_s_per_1000: number;
  readonly postgres_s_per_1000: number;
  readonly peer_cpu_s_per_1000: number | null;
  readonly peer_postgres_s_per_1000: number | null;
  readonly wrong: number;
  readonly first_wrong: string | null;
}

/** Medians over the rounds, which alternate between the sides, after a short one that is not counted. */
async function measure(
  conversation: Conversation,
  sides: readonly Side[],
  postgres: () => readonly number[],
  options: { readonly rounds: number; readonly ms: number; readonly connections: number },
): Promise<Case> {
  type Measured = LoadResult & { readonly cpu: number; readonly postgres: number };
  const results: Record<Side['name'], Measured[]> = { ours: [], peer: [] };
  for (let n = -1; n < options.rounds; n += 1) {
    for (const { name, port, pids } of sides) {
      const used = () => [pids(), postgres()].map(cpuSeconds) as [number, number];
      const before = used();
      const { connections } = options;
      const result = await runLoad({
        ...{ port, connections, conversation, forMs: n < 0 ? options.ms / 4 : options.ms },
      });
      const after = used();
      const cost = (at: 0 | 1) => ((after[at] - before[at]) * 1000) / Math.max(1, result.conversations);
      if (n >= 0) results[name].push({ ...result, cpu: cost(0), postgres: cost(1) });
    }
  }
  const of = (side: Side['name'], value: (one: Measured) => number) =>
    results[side].length === 0 ? null : round(median(results[side].map(value)));
  const mine = of('ours', (one) => one.perSecond)!;
  const theirs = of('peer', (one) => one.perSecond);
  const all = [...results.ours, ...results.peer];
  return {
    ...{ ours_per_s: mine, peer_per_s: theirs, ratio: theirs === null ? null : round(mine / theirs) },
    ...{ p50_ms: of('ours', (one) => one.p50Ms)!, p99_ms: of('ours', (one) => one.p99Ms)! },
    ...{ peer_p50_ms: of('peer', (one) => one.p50Ms), peer_p99_ms: of('peer', (one) => one.p99Ms) },
    cpu_s_per_1000: of('ours', (one) => one.cpu)!,
    postgres_s_per_1000: of('ours', (one) => one.postgres)!,
    peer_cpu_s_per_1000: of('peer', (one) => one.cpu),
    peer_postgres_s_per_1000: of('peer', (one) => one.postgres),
    wrong: all.reduce((sum, { wrong }) => sum + wrong, 0),
    first_wrong: all.find(({ firstWrong }) => firstWrong !== undefined)?.firstWrong ?? null,
  };
}
