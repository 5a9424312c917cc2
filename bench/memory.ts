import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildPages } from '../src/run/pages.ts';
import { type Product, startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { makeDevices, signedRequest } from './devices.ts';
import { runLoad } from './load.ts';
import { machine, median, residentMib, withChildren } from './measure.ts';
import { ours, seedOurs } from './product.ts';

const FEW = 100;

interface Resident {
  readonly edge_mb: number;
  readonly core_mb: number;
}

/** Resident memory once nothing moves: the median of readings over some seconds. */
async function resident(product: Product, seconds: number): Promise<Resident> {
  const edge: number[] = [];
  const core: number[] = [];
  for (let n = 0; n < seconds * 2; n += 1) {
    await sleep(500);
    edge.push(residentMib(withChildren(product.pids()['edge']!)));
    core.push(residentMib([product.pids()['core']!]));
  }
  return { edge_mb: median(edge), core_mb: median(core) };
}

const more = (after: Resident, before: Resident): Resident => ({
  edge_mb: after.edge_mb - before.edge_mb,
  core_mb: after.core_mb - before.core_mb,
});

/**
 * What enrolments cost in memory that say nothing: resident memory with many less that with few, once when only the rows
 * are there, once when each device has checked in (edge then knows its certificate), and once after a restart.
 */
export async function memory(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    options: {
      devices: { type: 'string', default: '100000' },
      workers: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '6' },
    },
  });
  await buildPages();
  const home = openDir('btz-bench-');
  const portBase = await freePorts();
  const start = () => startProduct({ home, portBase, edgeWorkers: Number(values.workers), demo: true });
  let product = await start();
  let we = ours(product);
  try {
    const count = Number(values.devices);
    const seconds = Number(values.seconds);
    say(`${count} devices with P-256 identities of their own`);
    const devices = makeDevices(we.ca, 0, count, 'ec');
    const checkIn = async (some: typeof devices) => {
      const result = await runLoad({
        ...{ port: portBase + 2, connections: 32 },
        conversation: (n) =>
          n < some.length ? [{ request: signedRequest(some[n]!, 'Idle'), expects: 'nothing' }] : undefined,
      });
      if (result.wrong > 0) throw new Error(`${result.wrong} check-ins went wrong: ${result.firstWrong}`);
    };
    await seedOurs(we.pool, devices.slice(0, FEW), [], 0);
    // The same number of requests as later, so that what the requests themselves leave behind is on both sides.
    for (let n = 0; n < Math.ceil(count / FEW); n += 1) await checkIn(devices.slice(0, FEW));
    const few = await resident(product, seconds);
    say(`${FEW} devices: ${JSON.stringify(few)}`);
    await seedOurs(we.pool, devices.slice(FEW), [], 0);
    const silent = await resident(product, seconds);
    say(`${count} rows: ${JSON.stringify(silent)}`);
    await checkIn(devices);
    const known = await resident(product, seconds);
    say(`each has checked in: ${JSON.stringify(known)}`);
    await we.pool.end();
    await product.stop();
    product = await start();
    we = ours(product);
    const restarted = await resident(product, seconds);
    await checkIn(devices);
    const again = await resident(product, seconds);
    say(`after a restart: ${JSON.stringify(restarted)}, each has checked in: ${JSON.stringify(again)}`);
    return {
      ...{ devices: count, few, rows_only: silent, each_checked_in: known },
      ...{ restarted, restarted_each_checked_in: again },
      more_for_the_rows: more(silent, few),
      more_when_each_checked_in: more(known, few),
      // after a restart neither has seen a single device
      more_after_restart: more(again, restarted),
      ...{ options: values, machine: machine() },
      command: `npm run bench -- memory ${args.join(' ')}`.trim(),
    };
  } finally {
    await we.pool.end().catch(() => {});
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  }
}
