import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { offerEnrolments } from '#fleet';
import { KeyPool, newPhone, openLine, Phone, profileOf, type Send } from '#sim';
import { tx } from '#store';
import { buildPages } from '../src/run/pages.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { round } from './load.ts';
import { cpuSeconds, machine, median, withChildren } from './measure.ts';
import { type Peer, startNanomdm } from './nanomdm.ts';
import { ours } from './product.ts';
import { CHALLENGE, type ScepPeer, startScepPeer } from './scep-peer.ts';

const SHARED_KEYS = 32;

interface Storm {
  readonly per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly failed: number;
  readonly first_failure: string | undefined;
  readonly cpu_s_per_1000: number;
}

/** Lets phones enrol, `atOnce` at a time. Latency is of one phone's whole enrolment. */
async function enrolAll(
  phones: readonly Phone[],
  atOnce: number,
  enrol: (phone: Phone, n: number) => Promise<void>,
  pids: () => readonly number[],
): Promise<Storm> {
  const took: number[] = [];
  let next = 0;
  let failed = 0;
  let first: string | undefined;
  const cpu = cpuSeconds(pids());
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let n = next++; n < phones.length; n = next++) {
        const from = performance.now();
        try {
          await enrol(phones[n]!, n);
          took.push(performance.now() - from);
        } catch (error) {
          failed += 1;
          first ??= error instanceof Error ? error.message : String(error);
        }
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  took.sort((a, b) => a - b);
  const at = (q: number) => round(took[Math.min(took.length - 1, Math.floor(took.length * q))] ?? 0);
  return {
    ...{ per_s: round(took.length / seconds), p50_ms: at(0.5), p99_ms: at(0.99), failed, first_failure: first },
    cpu_s_per_1000: round(((cpuSeconds(pids()) - cpu) * 1000) / Math.max(1, took.length)),
  };
}

/**
 * An enrolment storm: profile, GetCACert, PKIOperation, Authenticate, TokenUpdate, by the same phones on both sides. Ours is
 * the whole product; the peer is NanoMDM with MicroMDM's SCEP server in front, which need no profile to be fetched.
 */
export async function enrolment(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    allowNegative: true,
    options: {
      phones: { type: 'string', default: '600' },
      'at-once': { type: 'string', default: '16' },
      rounds: { type: 'string', default: '3' },
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
  const line = openLine({ sockets: 64 });
  let peer: { mdm: Peer; scep: ScepPeer } | undefined;
  try {
    if (values.peer) {
      say('building and starting NanoMDM and its SCEP server');
      const scep = await startScepPeer({ dir, port: portBase + 5 });
      const stop = scep.stop;
      peer = await startNanomdm({ admin: product.admin, dir, caPem: scep.caPem, port: portBase + 4 }).then(
        (mdm) => ({ mdm, scep }),
        (error: unknown) => {
          stop();
          throw error;
        },
      );
    }
    const keys = new KeyPool([], { repeat: true });
    await keys.fill(SHARED_KEYS);
    const [phones, atOnce] = [Number(values.phones), Number(values['at-once'])];
    const fresh = (send: Send) =>
      Array.from(
        { length: phones },
        (_, n) => new Phone(newPhone({ deviceName: `phone ${n}` }), { send, keyPool: keys }),
      );
    const mine: Storm[] = [];
    const theirs: Storm[] = [];
    for (let round_ = 0; round_ < Number(values.rounds); round_ += 1) {
      const links = await offer(we.pool, phones, product.urls.edge);
      const all = product.pids();
      const ourPids = () => [...withChildren(all['edge']!), all['core']!, all['ledger']!, all['sealer']!];
      mine.push(await enrolAll(fresh(line.send), atOnce, (phone, n) => phone.enrol(links[n]!), ourPids));
      say(`ours ${JSON.stringify(mine.at(-1))}`);
      if (peer === undefined) continue;
      const { mdm, scep } = peer;
      const url = `http://127.0.0.1:${mdm.port}/mdm`;
      const profile = profileOf({ serverUrl: url, topic: 'bench', scepUrl: scep.url, challenge: CHALLENGE });
      const pids = () => [mdm.pid, scep.pid];
      theirs.push(await enrolAll(fresh(line.send), atOnce, (phone) => phone.install(profile), pids));
      say(`${mdm.name} ${JSON.stringify(theirs.at(-1))}`);
    }
    const of = (storms: readonly Storm[]) =>
      storms.length === 0
        ? null
        : {
            per_s: median(storms.map((one) => one.per_s)),
            p50_ms: median(storms.map((one) => one.p50_ms)),
            p99_ms: median(storms.map((one) => one.p99_ms)),
            cpu_s_per_1000: median(storms.map((one) => one.cpu_s_per_1000)),
            failed: storms.reduce((sum, { failed }) => sum + failed, 0),
          };
    const [a, b] = [of(mine), of(theirs)];
    return {
      ...{ ours: a, peer: b, ratio: b === null ? null : round(a!.per_s / b.per_s) },
      peer_name: peer === undefined ? null : `${peer.mdm.name} with ${peer.scep.name}`,
      ...{ options: values, postgres: product.postgresOrigin, machine: machine() },
      command: `npm run bench -- enrolment ${args.join(' ')}`.trim(),
    };
  } finally {
    line.close();
    peer?.mdm.stop();
    peer?.scep.stop();
    await we.pool.end();
    await product.stop();
    for (const path of [home, dir]) rmSync(path, { recursive: true, force: true });
  }
}

/** Enrolment links, made as the console does. */
async function offer(pool: ReturnType<typeof ours>['pool'], count: number, edge: string): Promise<string[]> {
  const links: string[] = [];
  for (let at = 0; at < count; at += 1_000) {
    const holders = Array.from({ length: Math.min(1_000, count - at) }, () => null);
    const offers = await tx(pool, (t) =>
      offerEnrolments(t, { createdBy: 'bench-admin', holders, ttlMs: 24 * 3_600_000 }),
    );
    links.push(...offers.map(({ token }) => `${edge}/enrol/${token}`));
  }
  return links;
}
