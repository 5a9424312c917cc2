import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { toPem } from '#wire';
import { buildPages } from '../src/run/pages.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { benchHandle, benchUdid, makeDevices, signedRequest } from './devices.ts';
import { Line, round } from './load.ts';
import { cpuSeconds, machine, withChildren } from './measure.ts';
import { type Peer, seedNanomdm, startNanomdm } from './nanomdm.ts';
import { ours, seedOurs } from './product.ts';

interface Arrivals {
  readonly port: number;
  /** Requests a second, evenly spaced, whatever the server does. */
  readonly rate: number;
  readonly seconds: number;
  readonly connections: number;
  readonly request: (n: number) => Buffer;
}

export interface ArrivalResult {
  readonly offered_per_s: number;
  readonly answered_per_s: number;
  /** From the moment at which the request should have left, so that a stall is charged to all that it delays. */
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** From the moment at which it did leave: what a closed loop would report. */
  readonly p99_from_sending_ms: number;
  readonly wrong: number;
  readonly first_wrong: string | undefined;
  /** Not answered when the time and five seconds more were over. */
  readonly unanswered: number;
}

const GRACE_MS = 5_000;

/**
 * An open loop: requests arrive at fixed times and wait for a free connection. Latency counts from the intended time, which
 * avoids coordinated omission: a slow answer does not thin out the load that would have seen it.
 */
export async function arrivals(load: Arrivals): Promise<ArrivalResult> {
  const total = Math.floor(load.rate * load.seconds);
  const latencies: number[] = [];
  const fromSending: number[] = [];
  let wrong = 0;
  let first: string | undefined;
  let next = 0;
  const startedAt = performance.now() + 50;
  const dueAt = (n: number) => startedAt + (n * 1000) / load.rate;
  const endsAt = dueAt(total) + GRACE_MS;
  let last = startedAt;
  await Promise.all(
    Array.from({ length: load.connections }, async () => {
      let line = new Line(load.port);
      for (let n = next++; n < total && performance.now() < endsAt; n = next++) {
        const wait = dueAt(n) - performance.now();
        if (wait > 0) await sleep(wait);
        const sentAt = performance.now();
        try {
          const answer = await line.ask(load.request(n));
          if (answer.status !== 200 || answer.bytes !== 0) {
            wrong += 1;
            first ??= `status ${answer.status}, ${answer.bytes} bytes`;
          }
        } catch (error) {
          wrong += 1;
          first ??= String(error);
          line.close();
          line = new Line(load.port);
        }
        last = performance.now();
        latencies.push(last - dueAt(n));
        fromSending.push(last - sentAt);
      }
      line.close();
    }),
  );
  const at = (all: number[], q: number) => {
    all.sort((a, b) => a - b);
    return round(all[Math.min(all.length - 1, Math.floor(all.length * q))] ?? 0);
  };
  return {
    ...{ offered_per_s: load.rate, answered_per_s: Math.round((latencies.length * 1000) / (last - startedAt)) },
    ...{ p50_ms: at(latencies, 0.5), p99_ms: at(latencies, 0.99), max_ms: at(latencies, 1) },
    ...{ p99_from_sending_ms: at(fromSending, 0.99), wrong, first_wrong: first, unanswered: total - latencies.length },
  };
}

/** Idle check-ins at fixed rates, ours against NanoMDM's. */
export async function openLoop(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    allowNegative: true,
    options: {
      devices: { type: 'string', default: '20000' },
      active: { type: 'string', default: '2000' },
      rates: { type: 'string', default: '250,500,1000,2000,4000' },
      seconds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '32' },
      workers: { type: 'string', default: '2' },
      peer: { type: 'boolean', default: true },
    },
  });
  await buildPages();
  const home = openDir('btz-bench-');
  const dir = mkdtempSync(join(tmpdir(), 'btz-bench-peer-'));
  const portBase = await freePorts();
  const product = await startProduct({ home, portBase, edgeWorkers: Number(values.workers), demo: true });
  const we = ours(product);
  let peer: Peer | undefined;
  try {
    if (values.peer) {
      const caPem = toPem('CERTIFICATE', we.ca.certificate.der);
      peer = await startNanomdm({ admin: product.admin, dir, caPem, port: portBase + 4 });
    }
    const active = makeDevices(we.ca, 0, Number(values.active), 'rsa');
    const rest = Array.from({ length: Number(values.devices) - active.length }, (_, n) => active.length + n);
    say(`${values.devices} enrolments on each side`);
    await seedOurs(
      we.pool,
      active,
      rest.map((n) => ({ handle: benchHandle(n), udid: benchUdid(n) })),
      1,
    );
    if (peer) await seedNanomdm(peer.database, active, rest.map(benchUdid), 1);
    const idle = active.map((device) => signedRequest(device, 'Idle'));
    const go = (port: number, rate: number, seconds: number) =>
      arrivals({
        ...{ port, rate, seconds, connections: Number(values.connections) },
        request: (n) => idle[n % idle.length]!,
      });
    const side = async (port: number, pid: number) => {
      // Every certificate is met once before anything counts.
      await go(port, 500, Math.max(1, idle.length / 500));
      const results: object[] = [];
      for (const rate of values.rates.split(',').map(Number)) {
        const before = cpuSeconds(withChildren(pid));
        const result = await go(port, rate, Number(values.seconds));
        const cpu = round(cpuSeconds(withChildren(pid)) - before);
        say(`  ${JSON.stringify(result)}`);
        results.push({ ...result, cpu_s: cpu });
        // Beyond what it can answer every higher rate says the same.
        if (result.unanswered > 0) break;
      }
      return results;
    };
    say('ours');
    const mine = await side(portBase + 2, product.pids()['edge']!);
    if (peer) say(peer.name);
    return {
      ...{ ours: mine, peer: peer ? await side(peer.port, peer.pid) : null, peer_name: peer?.name ?? null },
      ...{ options: values, postgres: product.postgresOrigin, machine: machine() },
      command: `npm run bench -- open-loop ${args.join(' ')}`.trim(),
    };
  } finally {
    peer?.stop();
    await we.pool.end();
    await product.stop();
    for (const path of [home, dir]) rmSync(path, { recursive: true, force: true });
  }
}
