import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inventPeople, peopleCsv } from '#sim';
import { Person } from '../../../src/run/person.ts';
import { importPeople, must, until } from '../../../src/run/stage.ts';
import { startProduct } from '../../../src/run/supervisor.ts';
import { decoysOf } from '../decoys.ts';

// The first host of two, in a network namespace of its own; the ledger is in another. Prints one JSON line: what was tried, and
// what was seen. `first-host.ts HOME BUNDLE INTERFACE LEDGER_HOME`.
const [, , home, bundle, line, ledgerHome] = process.argv as [string, string, string, string, string, string];
const tries: string[] = [];
const steps: { name: string; ok: boolean; seen: string }[] = [];
const step = (name: string, ok: boolean, seen: unknown) => steps.push({ name, ok, seen: JSON.stringify(seen) });
const ip = (...args: string[]) => execFileSync('ip', args);

const product = await startProduct({ home, ledgerBundle: bundle, portBase: 8440, founders: 3, fsync: false });
try {
  step('the level is L2', product.level === 'L2', product.level);
  const held = readdirSync(home, { recursive: true, encoding: 'utf8' });
  const ledgers = held.filter((path) =>
    /(^|\/)(journal|locks|receipts\.key|outer\.key|log\.key|checkpoint)$|founding\.(key|pem)$|^ledger/.test(path),
  );
  step(
    'this host holds nothing of the ledger',
    ledgers.length === 0 && product.pids()['ledger'] === undefined,
    ledgers,
  );
  step(
    'each key for the ledger is its caller’s own',
    keysAreOwn(),
    held.filter((path) => path.startsWith('config/')),
  );

  // Each reads a few times only: ten within a minute would be an alarm, and a lock.
  const admins = product.founders.map(({ admin }) => new Person(product.urls, admin));
  for (const [n, admin] of admins.entries()) must(await admin.join(product.founders[n]!.token), 200, 'could not join');
  must(await admins[0]!.signIn(), 200, 'a founder could not sign in');
  const imported = await importPeople(product, peopleCsv(inventPeople(3)));
  const decoys = decoysOf(ledgerHome);
  const handles = imported.filter((one) => !decoys.has(one));
  const read = async (by: number, n = 0) => {
    const { values, answer } = await admins[by]!.reveal('number', [handles[n]!], 'a test of two hosts');
    return { values: Object.values(values), status: answer.status, code: answer.body['code'] };
  };
  const reads = (by: number) => {
    tries.length = 0;
    const once = async () => {
      const { values, status, code } = await read(by);
      tries.push(`${status} ${String(code)} ${values.length}`);
      return values.length === 1;
    };
    return until(once, 8_000, 1_200);
  };
  step('a number is read', await reads(0), tries);
  const overview = await admins[0]!.call('GET', '/api/overview');
  const { level } = overview.body['posture'] as { level: string };
  step('the console says L2', level === 'L2', level);

  let delayed = 'no netem here';
  try {
    execFileSync('tc', ['qdisc', 'add', 'dev', line, 'root', 'netem', 'delay', '120ms', '30ms'], { stdio: 'ignore' });
    const at = performance.now();
    const ok = await reads(0);
    delayed = `${ok} ${Math.round(performance.now() - at)} ms`;
    step('a slow line slows, and no more', ok && performance.now() - at > 90, delayed);
    execFileSync('tc', ['qdisc', 'del', 'dev', line, 'root']);
  } catch {
    step('a slow line slows, and no more', true, delayed);
  }

  ip('link', 'set', line, 'down');
  const cutAt = performance.now();
  const cut = await Promise.all([read(1, 1), read(1, 2)]);
  const bounded = performance.now() - cutAt < 15_000;
  step(
    'with the line cut nothing is read, and the answer is bounded',
    bounded && cut.every(({ values, status }) => values.length === 0 && status === 503),
    cut,
  );
  ip('link', 'set', line, 'up');
  step('with the line back it works again by itself', await reads(1), tries);

  const before = ledgerPid();
  process.kill(before!, 'SIGKILL');
  const dead = await read(2);
  step('with the ledger killed nothing is read', dead.values.length === 0 && dead.status === 503, dead);
  const back = await reads(2);
  step('once its supervisor has it back it works again', back && ledgerPid() !== before, tries);
} finally {
  await product.stop();
}
process.stdout.write(`${JSON.stringify(steps)}\n`);
process.exit(0);

function keysAreOwn(): boolean {
  const door = join(home, 'config', 'ledger-door');
  const keys = readdirSync(door).filter((name) => name.endsWith('.key'));
  return keys.length >= 5 && keys.every((name) => reader(join(door, name), name.replace('.key', '')));
}

/** Another caller's user cannot read the key. */
function reader(file: string, owner: string): boolean {
  const config = readFileSync(join(home, 'config', `${owner}.json`), 'utf8');
  const other = owner === 'glass' ? 'core' : 'glass';
  const uid = Number(execFileSync('stat', ['-c', '%u', join(home, 'config', `${other}.json`)], { encoding: 'utf8' }));
  const own = Number(execFileSync('stat', ['-c', '%u', join(home, 'config', `${owner}.json`)], { encoding: 'utf8' }));
  const may = (id: number) => {
    try {
      execFileSync('cat', [file], { uid: id, gid: id, stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  return config.includes(file) && may(own) && !may(uid);
}

function ledgerPid(): number | undefined {
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    const file = `/proc/${name}/cmdline`;
    try {
      const words = existsSync(file) ? readFileSync(file, 'utf8').split('\0') : [];
      if (words.includes(join(ledgerHome, 'config', 'ledger.json'))) return Number(name);
    } catch {
      // it has just ended
    }
  }
  return undefined;
}
