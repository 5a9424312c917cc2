import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { uuidv7 } from '#base';
import { type Grant, parseRestoreDrill, verifyRestoreDrill } from '#seal';
import { openPool } from '#store';
import { fingerprintOf, readRecovery, readSigners } from '../../src/run/backup/settings.ts';
import { decoysOf } from '../../src/run/drill/known-decoys.ts';
import { verifyLogDir } from '../../src/run/log-verify.ts';
import { allOf, Person, send } from '../../src/run/person.ts';
import { rehearse } from '../../src/run/restore/rehearse.ts';
import { type RestoreOptions, restore } from '../../src/run/restore/restore.ts';
import { until } from '../../src/run/stage.ts';
import { startProduct } from '../../src/run/supervisor.ts';
import { freePorts } from '../flows/product.ts';
import type { BackedUp } from './backup-stage.ts';

const quiet = () => {};

/** What a restore is asked for, as the operator knows it from cards and sheet. */
export function orderOf(stage: BackedUp): Omit<RestoreOptions, 'home'> {
  const { product, place, shares } = stage;
  const at = (set: string) => ({ kind: 'directory', path: place(set) }) as const;
  const fingerprint = fingerprintOf(product.keys.org, readRecovery(product.home).id, readSigners(product.home))!;
  return {
    places: { database: at('database'), ledger: at('ledger'), sealer: at('sealer') },
    shares: [shares[4]!, shares[0]!, shares[2]!].map(({ text }) => text),
    fingerprint,
  };
}

/** Sets that were changed, swapped or made by somebody else, too few cards, a place in use: each is refused and leaves nothing. */
export async function refusals(stage: BackedUp): Promise<void> {
  const { root, shares } = stage;
  const order = orderOf(stage);
  const home = join(root, 'refused');
  const refused = async (change: Partial<RestoreOptions>, expected: object | RegExp) => {
    await assert.rejects(restore({ ...order, home, ...change }, quiet), expected);
    rmSync(home, { recursive: true, force: true });
  };
  const two = [shares[0]!, shares[1]!].map(({ text }) => text);
  await refused({ shares: two }, { code: 'shares', message: /3 different cards are needed; there are 2/ });
  await refused({ shares: [...two, two[0]!] }, { code: 'shares' });
  await refused({ fingerprint: '0'.repeat(32) }, { code: 'tampered', message: /fingerprint/ });
  const { places } = order;
  const swapped = { database: places.database, ledger: places.sealer, sealer: places.ledger };
  await refused({ places: swapped }, { code: 'target', message: /no ledger backup/ });

  // The file of one set under the name of another: its key does not open it.
  const forged = join(root, 'forged');
  mkdirSync(forged);
  const newest = (set: string) =>
    readdirSync(stage.place(set))
      .filter((name) => name.endsWith('.age'))
      .sort()
      .at(-1)!;
  cpSync(join(stage.place('sealer'), newest('sealer')), join(forged, newest('ledger')));
  await refused({ places: { ...places, ledger: { kind: 'directory', path: forged } } }, { code: 'tampered' });
  cpSync(join(stage.place('ledger'), newest('ledger')), join(forged, newest('ledger')));
  truncateSync(join(forged, newest('ledger')), 20_000);
  await refused({ places: { ...places, ledger: { kind: 'directory', path: forged } } }, { code: 'tampered' });

  // An old set under a new name.
  const renamed = join(root, 'renamed');
  mkdirSync(renamed);
  cpSync(join(stage.place('ledger'), newest('ledger')), join(renamed, newest('ledger').replace(/-20\d\d/, '-2090')));
  await refused(
    { places: { ...places, ledger: { kind: 'directory', path: renamed } } },
    { code: 'tampered', message: /another time than its name says/ },
  );

  process.env['DATABASE_URL'] = 'postgres://nobody:x@127.0.0.1:1/production';
  try {
    await refused({}, { code: 'usage', message: /Unset DATABASE_URL/ });
  } finally {
    delete process.env['DATABASE_URL'];
  }
  mkdirSync(home);
  writeFileSync(join(home, 'somebody’s'), 'theirs');
  await assert.rejects(restore({ ...order, home }, quiet), { code: 'in-use' });
  assert.equal(readFileSync(join(home, 'somebody’s'), 'utf8'), 'theirs', 'what was there is still there');
  rmSync(home, { recursive: true });
}

/** The rehearsal opens a decoy, leaves nothing, and its report is taken by the installation that it was made for, once. */
export async function rehearsal(stage: BackedUp): Promise<void> {
  const { product, root } = stage;
  const report = await rehearse(orderOf(stage), quiet);
  assert.ok(verifyRestoreDrill(readRecovery(product.home).sign, parseRestoreDrill(JSON.parse(JSON.stringify(report)))));
  assert.ok(!JSON.stringify(report).match(/[a-z]+-[a-z]+-[0-9]{4}/), 'no handle is in it');
  const file = join(root, 'report.json');
  const record = () =>
    execFileSync(
      join(import.meta.dirname, '..', '..', 'bin', 'bartizan'),
      ['backup', 'drilled', file, '--home', product.home.dir],
      { encoding: 'utf8', stdio: 'pipe' },
    );
  writeFileSync(file, JSON.stringify({ ...report, seconds: 1 }));
  assert.throws(record, /not signed by the recovery key/);
  writeFileSync(file, JSON.stringify(report));
  assert.match(record(), /Recorded: restored in \d+ s/);
  assert.throws(record, /in the log already/);

  // Whoever ends one leaves nothing that opens anybody.
  const tmp = join(root, 'tmp');
  mkdirSync(tmp, { mode: 0o711 });
  const child = command(stage, ['--drill', '--report', file], { TMPDIR: tmp });
  await child.says('the database is filled');
  assert.equal(readdirSync(tmp).length, 1);
  process.kill(-child.pid, 'SIGTERM');
  await child.ended;
  assert.deepEqual(readdirSync(tmp), []);
}

/** Killed in the middle it is not started, and begins anew; what is restored works, is locked, and takes no touch of before. */
export async function restored(stage: BackedUp): Promise<void> {
  const { product, root, admins, handles, people } = stage;
  const [ada, ben] = admins as [Person, Person];
  const order = orderOf(stage);
  const home = join(root, 'restored');
  const decoys = decoysOf(product.home.dir);
  const real = handles.findIndex((handle) => !decoys.has(handle));
  const before: Grant = {
    ...{ v: 1, op: 'reveal', id: uuidv7(), admin: ada.admin, field: 'number', subjects: [handles[real]!] },
    ...{ purpose: 'signed before the restore', notAfter: Date.now() + 9 * 60_000, browserKey: 'A'.repeat(43) },
  };
  const touchedBefore = ada.touch(before);
  const kept = readFileSync(join(product.home.dir, 'ledger', 'log', 'checkpoint'), 'utf8');
  await product.stop();

  await killed(stage, home);
  await assert.rejects(startProduct({ home, demo: true }), {
    code: 'start-failed',
    message: /restore .* was interrupted/i,
  });
  // One at a time: the second is told, and the first goes on.
  const first = restore({ ...order, home, checkpoint: kept }, quiet);
  await assert.rejects(restore({ ...order, home }, quiet), { code: 'in-use' });
  const done = await first;
  assert.equal(done.known, Number(kept.split('\n')[1]), 'what the kept checkpoint says');
  assert.ok(done.leaves < done.known, 'what happened after the backup is lost, and that is said');
  assert.notEqual(done.log, product.keys.log, 'the log goes on under another name');

  const again = await startProduct({ home, demo: true, portBase: await freePorts() });
  try {
    const [one, two] = [ada, ben].map((who) => new Person(again.urls, who.admin, who.passkey)) as [Person, Person];
    await one.signIn();
    const value = async () => (await one.reveal('number', [handles[real]!], 'after the restore')).values;
    assert.deepEqual(await value(), {}, 'it is locked');
    let lock: { id: string; scope: string; reason: string } | undefined;
    const shown = async () => {
      lock = (await allOf<NonNullable<typeof lock>>(one, '/api/locks')).find(({ scope }) => scope === 'directory');
      return lock !== undefined;
    };
    assert.ok(await until(shown, 10_000), 'the console shows the lock');
    assert.equal(lock!.reason, 'restored from backups');
    const { body } = await one.call('POST', `/api/locks/${lock!.id}/unlock`, { purpose: 'all is well' });
    for (const who of [one, two]) assert.equal((await who.approve(String(body['approval']))).status, 200);
    assert.ok(await until(async () => Object.keys(await value()).length === 1, 10_000), 'two people lift it');
    const numbers = people.map(({ mobile }) => mobile);
    assert.ok(numbers.includes(Object.values(await value())[0]!), 'with what is in the backup');
    const old = await send(again.urls.glass, 'POST', '/api/reveal', { grant: before, assertion: touchedBefore });
    assert.equal(old.body['code'], 'restored', 'what was signed before counts no more');

    const folder = join(again.home.dir, 'ledger', 'log');
    const told = async () => {
      const pool = openPool(again.admin, { max: 1 });
      try {
        const { rows } = await pool.query<{ n: number }>(
          `select (count(*) filter (where leaf is null and n is not null) + 1000 * count(*) filter (where kind = 'log.trouble'))::int as n from log.event`,
        );
        return rows[0]!.n;
      } finally {
        await pool.end();
      }
    };
    assert.ok(await until(async () => (await told()) === 0, 15_000), 'events go on into the log, and it found no fork');
    const report = await verifyLogDir(folder, { verifierKey: again.keys.log });
    assert.deepEqual(report.problems, []);
    const old_ = readdirSync(join(again.home.dir, 'ledger')).find((name) => name.startsWith('log-before-'))!;
    assert.ok(existsSync(join(again.home.dir, 'ledger', old_, 'checkpoint')), 'the old public files stay');
  } finally {
    await again.stop();
  }
}

/** `bartizan restore`, killed once the database is being filled. */
async function killed(stage: BackedUp, home: string): Promise<void> {
  const child = command(stage, ['--home', home]);
  await child.says('the database is filled');
  process.kill(-child.pid, 'SIGKILL');
  await child.ended;
  assert.ok(existsSync(join(home, 'supervisor', 'restoring')));
}

/** `bartizan restore` with the cards on its standard input, in a process group of its own. */
function command(stage: BackedUp, more: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { places, shares, fingerprint } = orderOf(stage);
  const where = (['database', 'ledger', 'sealer'] as const).flatMap((set) => [
    `--${set}`,
    (places[set] as { path: string }).path,
  ]);
  const child = spawn(
    join(import.meta.dirname, '..', '..', 'bin', 'bartizan'),
    ['restore', ...where, '--fingerprint', fingerprint, ...more],
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: { ...process.env, ...env } },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part) => {
      said += part;
    });
  child.stdin.end(`${shares.join('\n')}\n`);
  return {
    pid: child.pid!,
    ended: new Promise((resolve) => child.on('close', resolve)),
    says: async (line: string) => {
      await until(async () => said.includes(line) || child.exitCode !== null, 30_000, 20);
      assert.equal(child.exitCode, null, said);
    },
  };
}
