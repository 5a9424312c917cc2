import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { confinement } from '../../src/run/confine.ts';
import { until } from '../../src/run/stage.ts';
import { type Product, startProduct } from '../../src/run/supervisor.ts';
import { freePorts, openDir } from '../flows/product.ts';

const GUARDS = ['sealer', 'ledger'] as const;
const root = process.getuid?.() === 0;
const skip = confinement().netless ? false : 'this machine lets us make no namespaces: the guards keep the network';
let product: Product;
let dir: string;

before(async () => {
  dir = openDir('btz-confined-');
  product = await startProduct({ home: join(dir, 'h'), portBase: await freePorts(), fsync: false });
});
after(async () => {
  await product?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const status = (pid: number, key: string) =>
  new RegExp(`^${key}:\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];

test('no process of ours gains privileges, keeps capabilities or leaves a core dump', () => {
  for (const [name, pid] of Object.entries(product.pids()).filter(([one]) => one !== 'postgres')) {
    assert.equal(status(pid, 'NoNewPrivs'), '1', name);
    // A process in a user namespace of its own has all capabilities in the bounding set, and none that count outside it.
    for (const set of root ? ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] : ['CapEff'])
      assert.equal(Number.parseInt(status(pid, set) ?? 'x', 16), 0, `${name} ${set}`);
    assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /Max core file size\s+0\s+0/, name);
  }
});

test('a guard that is owned finds no network, no way to root and no way to listen for anybody', { skip }, async () => {
  const server = createServer((socket) => socket.end('here')).listen(0, '127.0.0.1');
  const hidden = createServer((socket) => socket.end('here'));
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  hidden.listen({ path: `\0bartizan-drill-${address.port}` });
  try {
    for (const name of GUARDS) {
      await product.process(name).restart(['--import', join(product.home.code, 'sim', 'attackers', 'inside-guard.ts')]);
      const state = product.home.state(name);
      writeFileSync(join(state, 'way-out.go'), JSON.stringify({ listening: address.port }), { mode: 0o644 });
      assert.ok(await until(() => existsSync(join(state, 'way-out.json')), 15_000, 100), name);
      await until(() => readFileSync(join(state, 'way-out.json'), 'utf8').endsWith('}'), 2_000, 50);
      const report = JSON.parse(readFileSync(join(state, 'way-out.json'), 'utf8')) as Record<string, unknown>;
      const { listened, ...rest } = report;
      // Without root the interface `lo` of its own namespace is down too; nobody else is in there.
      assert.equal(typeof listened, 'boolean');
      assert.deepEqual(
        rest,
        {
          ...{ loopback: false, outside: false, abstract: false, interfaces: 0 },
          ...{ becameRoot: false, otherGroup: false, setuidProgram: false },
        },
        name,
      );
      const pid = product.pids()[name]!;
      assert.notEqual(readlinkSync(`/proc/${pid}/ns/net`), readlinkSync('/proc/self/ns/net'), name);
      await product.process(name).restart();
      for (const file of ['way-out.go', 'way-out.json']) rmSync(join(state, file));
    }
  } finally {
    server.close();
    hidden.close();
  }
});

test('the signal that opens Node’s inspector opens nothing', async () => {
  for (const [name, pid] of Object.entries(product.pids()).filter(([one]) => one !== 'postgres')) {
    // As the very user of the process: others may not even send it.
    const uid = status(pid, 'Uid')!;
    const kill = ['kill', '-USR1', String(pid)] as const;
    if (root) execFileSync('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', ...kill]);
    else execFileSync(kill[0], kill.slice(1));
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(product.pids()[name], pid, `${name} lives on`);
    // 9229, hexadecimal, in the process's own network namespace.
    const listening = readFileSync(`/proc/${pid}/net/tcp`, 'utf8');
    assert.ok(!/:240D /.test(listening), `${name} listens for a debugger`);
  }
});
