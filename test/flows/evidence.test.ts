import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { evidenceState, logId } from '#evidence';
import { openPool } from '#store';
import { foundWitness, Memory, type Serving, serveWitness } from '#witness';
import { program } from '../../src/run/cli.ts';
import { policyOf } from '../../src/run/cli-evidence.ts';
import { evidenceFolder } from '../../src/run/home.ts';
import { until } from '../../src/run/stage.ts';
import { type Product, startProduct } from '../../src/run/supervisor.ts';
import { authority } from '../interop/evidence-stage.ts';
import { freePorts, openDir } from './product.ts';

// The product itself: core asks a witness and a time stamp authority about what the ledger signed, and anybody can check it.
const run = promisify(execFile);
let product: Product;
let dir: string;
let tsa: Awaited<ReturnType<typeof authority>>;
let serving: Serving;

before(async () => {
  dir = openDir('btz-evidence-');
  [product, tsa] = await Promise.all([
    freePorts().then((portBase) =>
      startProduct({ home: join(dir, 'h'), portBase, fsync: false, processes: ['ledger', 'sealer', 'core'] }),
    ),
    authority(join(dir, 'tsa')),
  ]);
});
after(async () => {
  await product?.stop();
  await serving?.close();
  await tsa?.close();
  rmSync(dir, { recursive: true, force: true });
});

test('an installation gets its log cosigned and stamped, and a stranger verifies it all from the public files', async () => {
  const at = join(dir, 'witness');
  const signers = foundWitness(at, 'witness.example/w1');
  const memory = Memory.open(at);
  memory.add(product.keys.log);
  const logger = { info() {}, warn() {}, error() {} };
  serving = await serveWitness({ host: '127.0.0.1', port: 0, memory, signers, clock: Date.now, logger });
  const witness = { name: 'w1', url: `http://127.0.0.1:${serving.port}/`, keys: signers.verifiers };
  const settings = join(dir, 'evidence.json');
  const home = product.home.dir;
  writeFileSync(settings, JSON.stringify({ witnesses: [{ ...witness, url: 'http://witness.example/' }] }));
  const set = () => program.parseAsync(['evidence', 'set', settings, '--home', home], { from: 'user' });
  await assert.rejects(set(), /witnesses\[0\]\.url must begin with https/);
  writeFileSync(settings, JSON.stringify({ witnesses: [witness], authorities: [{ name: 't1', url: tsa.url }] }));
  await set();
  const pool = openPool(product.admin, { max: 1, name: 'test' });
  try {
    const done = await until(
      async () => {
        const { witnesses, stamps } = await evidenceState(pool);
        return witnesses[0]?.signedAt != null && stamps.newest !== null;
      },
      20_000,
      100,
    );
    assert.ok(done, 'cosigned and stamped');
  } finally {
    await pool.end();
  }
  const folder = join(evidenceFolder(product.home), logId(product.keys.log));
  assert.ok(existsSync(folder));
  const policy = join(dir, 'policy');
  writeFileSync(policy, policyOf(product.keys.log, { witnesses: [witness] }, 'all'));
  const main = join(import.meta.dirname, '../../verify/main.ts');
  const log = join(home, 'ledger/log');
  const { stdout } = await run(process.execPath, [
    main,
    'log',
    log,
    '--policy',
    policy,
    '--evidence',
    folder,
    '--json',
  ]);
  const report = JSON.parse(stdout) as { ok: boolean; witnessed: { by: unknown[] }; stamps: { file: string }[] };
  assert.equal(report.ok, true);
  assert.equal(report.witnessed.by.length, 2);
  const [size] = report.stamps[0]!.file.split('/');
  const [stamp] = readdirSync(join(folder, size!)).filter((name) => name.endsWith('.tsr'));
  assert.ok(await tsa.verifies(join(folder, size!, 'checkpoint'), join(folder, size!, stamp!)));
});
