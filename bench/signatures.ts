import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildPages } from '../src/run/pages.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { makeDevices, signedRequest } from './devices.ts';
import { round, runLoad } from './load.ts';
import { cpuSeconds, machine, median, withChildren } from './measure.ts';
import { ours, seedOurs } from './product.ts';

const KINDS = ['rsa', 'ec'] as const;
const DIGESTS = ['sha256', 'sha1'] as const;

/** What the signature of an idle check-in costs: RSA 2048 and P-256 keys, SHA-256 and SHA-1, in alternating rounds. */
export async function signatures(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    options: {
      active: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '3' },
      ms: { type: 'string', default: '4000' },
      connections: { type: 'string', default: '32' },
      workers: { type: 'string', default: '1' },
    },
  });
  await buildPages();
  const home = openDir('btz-bench-');
  const portBase = await freePorts();
  // One worker, so that its processor is the limit and not the load's.
  const product = await startProduct({ home, portBase, edgeWorkers: Number(values.workers), demo: true });
  const we = ours(product);
  try {
    const active = Number(values.active);
    const cases = KINDS.flatMap((kind, at) => {
      const devices = makeDevices(we.ca, at * active, active, kind);
      return DIGESTS.map((digest) => ({ name: `${kind} ${digest}`, devices, digest }));
    });
    await seedOurs(
      we.pool,
      [cases[0]!, cases[2]!].flatMap(({ devices }) => devices),
      [],
      1,
    );
    const ready = cases.map(({ name, devices, digest }) => ({
      name,
      requests: devices.map((device) => signedRequest(device, 'Idle', undefined, digest)),
      results: [] as { perSecond: number; p99Ms: number; cpu: number }[],
    }));
    const go = (requests: readonly Buffer[], forMs: number) =>
      runLoad({
        ...{ port: portBase + 2, connections: Number(values.connections), forMs },
        conversation: (n) => [{ request: requests[n % requests.length]!, expects: 'nothing' }],
      });
    for (const { requests } of ready) await go(requests, 1_500);
    let wrong = 0;
    for (let n = 0; n < Number(values.rounds); n += 1) {
      for (const { name, requests, results } of ready) {
        const edge = () => cpuSeconds(withChildren(product.pids()['edge']!));
        const before = edge();
        const result = await go(requests, Number(values.ms));
        wrong += result.wrong;
        results.push({ ...result, cpu: ((edge() - before) * 1000) / result.conversations });
        say(`${name}: ${result.perSecond} a second`);
      }
    }
    const of = (all: readonly number[]) => round(median(all));
    return {
      ...Object.fromEntries(
        ready.map(({ name, results }) => [
          name.replace(' ', '_'),
          {
            per_s: of(results.map(({ perSecond }) => perSecond)),
            p99_ms: of(results.map(({ p99Ms }) => p99Ms)),
            edge_cpu_ms_each: of(results.map(({ cpu }) => cpu)),
          },
        ]),
      ),
      ...{ wrong, options: values, machine: machine() },
      command: `npm run bench -- signatures ${args.join(' ')}`.trim(),
    };
  } finally {
    await we.pool.end();
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  }
}
