import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareHosts } from '../../src/run/hosts.ts';
import { verifyLogDir } from '../../src/run/log-verify.ts';
import { buildPages } from '../../src/run/pages.ts';
import { openDir } from './product.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'] as const;
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Two network namespaces with a line between them, or why there are none. */
function twoNamespaces(): { first: string; second: string; line: string; close(): void } | string {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const id = process.pid.toString(36);
  const [first, second, line, far] = [`btz-${id}-a`, `btz-${id}-b`, `bz${id}a`, `bz${id}b`];
  const close = () => {
    for (const name of [first, second]) {
      try {
        ip('netns', 'del', name);
      } catch {
        // was not made
      }
    }
  };
  try {
    for (const name of [first, second]) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    ip('-n', first, 'link', 'add', line, 'type', 'veth', 'peer', 'name', far, 'netns', second);
    ip('-n', first, 'addr', 'add', '10.213.7.1/24', 'dev', line);
    ip('-n', second, 'addr', 'add', '10.213.7.2/24', 'dev', far);
    ip('-n', first, 'link', 'set', line, 'up');
    ip('-n', second, 'link', 'set', far, 'up');
    return { first, second, line, close };
  } catch (error) {
    close();
    return `no network namespaces here: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`;
  }
}

test('the ledger on another host: founded, read through, cut off, killed, back', async (t) => {
  const net = twoNamespaces();
  if (typeof net === 'string') return t.skip(net);
  await buildPages();
  const dir = openDir('btz-two-');
  const folder = join(dir, 'bundles');
  const [firstHome, ledgerHome] = [join(dir, 'first'), join(dir, 'ledger')];
  prepareHosts(folder, { host: '10.213.7.2', port: 8450 }, { days: 30, now: Date.now() });
  const inside = (name: string, ...args: string[]) =>
    spawn('ip', ['netns', 'exec', name, ...NODE, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const ledger = inside(
    net.second,
    'src/run/cli.ts',
    'ledger',
    '--home',
    ledgerHome,
    '--bundle',
    join(folder, 'ledger-host'),
  );
  let [said, errors, out] = ['', '', ''];
  ledger.stdout.on('data', (part) => {
    said += part;
  });
  try {
    const driver = join(import.meta.dirname, 'two-hosts', 'first-host.ts');
    const first = inside(net.first, driver, firstHome, join(folder, 'first-host'), net.line, ledgerHome);
    first.stdout.on('data', (part) => {
      out += part;
    });
    for (const child of [first, ledger])
      child.stderr.on('data', (part) => {
        errors += part;
      });
    const status = await new Promise((resolve) => first.once('close', resolve));
    assert.equal(status, 0, errors);
    const steps = JSON.parse(out.trim().split('\n').at(-1)!) as { name: string; ok: boolean; seen: string }[];
    for (const { name, ok, seen } of steps) {
      t.diagnostic(`${ok ? 'yes' : 'NO'}: ${name}: ${seen}`);
      assert.ok(ok, `${name}: ${seen}`);
    }
    assert.equal(steps.length, 10);
    assert.match(said, /level L2/);
  } finally {
    const gone = new Promise((resolve) => ledger.once('close', resolve));
    ledger.kill('SIGTERM');
    await gone;
    net.close();
  }
  const keys = JSON.parse(readFileSync(join(ledgerHome, 'public', 'keys.json'), 'utf8')) as { log: string };
  const report = await verifyLogDir(join(ledgerHome, 'ledger', 'log'), { verifierKey: keys.log });
  assert.deepEqual(report.problems, []);
  rmSync(dir, { recursive: true, force: true });
});
