import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from '#guard';
import { verifyLogDir } from '../../../src/run/log-verify.ts';
import { Guards, newBrowser, person, touch } from './fixture.ts';

// Real file systems that are full, broken, read-only or hang. Root only, as they have to be mounted.
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const ROOT_ONLY = process.getuid?.() === 0 ? undefined : 'file systems are mounted by root only';

interface Stage {
  readonly guards: Guards;
  /** The ledger's state, on a file system of its own. */
  readonly state: string;
  /** What lies under that file system. */
  readonly under: string;
  /** One whole reveal; how many records came, or the code of the refusal. */
  read(by?: number): Promise<number | string>;
  /** Entries of reveals in the journal, as an outside look at its bytes. */
  last(): Promise<{ kind: string; detail: { code?: string; asked?: number } }[]>;
}

/** Guards whose ledger works on a file system made for this test: a small tmpfs, or ext4 on a loop device in one. */
async function stage(
  t: TestContext,
  kind: 'tmpfs' | 'ext4',
  patience?: { sinkMs: number; hungMs: number },
): Promise<Stage> {
  const guards = await Guards.start();
  const [row] = await guards.settle({ [person(0)]: 'value' });
  await guards.stopLedger();
  const state = join(guards.folder, 'ledger');
  const copy = join(guards.folder, 'copy');
  cpSync(state, copy, { recursive: true });
  const under = mkdtempSync(join(tmpdir(), 'btz-disk-'));
  let loop = '';
  t.after(async () => {
    if (loop !== '') quietly('fsfreeze', '-u', state);
    await guards.stopSealer();
    await Promise.race([guards.stopLedger(), sleep(2_000)]);
    quietly('umount', '-l', state);
    if (loop !== '') quietly('losetup', '-d', loop);
    if (kind === 'ext4') quietly('umount', '-l', under);
    rmSync(under, { recursive: true, force: true });
    await guards.close();
  });
  if (kind === 'tmpfs') run('mount', '-t', 'tmpfs', '-o', 'size=6m', 'btz', state);
  else {
    run('mount', '-t', 'tmpfs', '-o', 'size=40m', 'btz', under);
    const image = join(under, 'image');
    run('truncate', '-s', '64M', image);
    run('mkfs.ext4', '-q', '-F', '-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', image);
    loop = run('losetup', '-f', '--show', image);
    run('mount', '-o', 'errors=remount-ro', loop, state);
  }
  cpSync(copy, state, { recursive: true });
  guards.patience = patience;
  await guards.startLedger();
  const read = (by = 0) =>
    guards.reveal([row!], {}, by).then(
      (values) => Object.keys(values).length,
      (error: { code: string }) => error.code,
    );
  const last = async () => {
    const found: { kind: string; detail: { code?: string; asked?: number } }[] = [];
    const ledger = await Ledger.open({ ...guards.ledgerOptions(), onUnusable: () => {} });
    for (const { entry } of await ledger.log.tail(0, 0)) found.push(entry as (typeof found)[number]);
    await ledger.close();
    return found;
  };
  return { guards, state, under, read, last };
}

function quietly(program: string, ...args: string[]): void {
  try {
    run(program, ...args);
  } catch {
    // it was not so
  }
}

const fill = (folder: string) => quietly('dd', 'if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=64k');

async function verified({ guards }: Stage): Promise<void> {
  const report = await verifyLogDir(guards.logDir, { verifierKey: guards.keys.log });
  assert.deepEqual(report.problems, []);
}

test('a full disk: nothing is opened, the log says its last words, and with room it goes on', {
  skip: ROOT_ONLY,
}, async (t) => {
  const here = await stage(t, 'tmpfs');
  assert.equal(await here.read(), 1);
  assert.deepEqual(here.guards.ledger.status().room?.low, true, 'the alarm rang before');
  fill(here.state);
  const got: (number | string)[] = [];
  // What was begun of the last page may still be filled.
  for (let n = 0; n < 30 && here.guards.unusable === 0; n += 1) got.push(await here.read(n % 3));
  assert.equal(here.guards.unusable, 1, 'the process is told to end');
  assert.equal(await here.read(), 'unavailable');
  assert.equal(got.at(-1), 'unavailable');
  await here.guards.stopLedger();
  rmSync(join(here.state, 'filler'));
  const entries = await here.last();
  const trouble = entries.filter(({ kind }) => kind === 'log.trouble').map(({ detail }) => detail.code);
  // Whether the look itself has said yet that its disk is low is another matter.
  assert.deepEqual(trouble.slice(0, 2), ['disk-low', 'disk-full']);
  const read = got.filter((one) => one === 1).length + 1;
  assert.ok(entries.filter(({ kind }) => kind === 'directory.revealed').length >= read, 'each read is in the log');
  await here.guards.startLedger();
  assert.equal(await here.read(1), 1);
  await verified(here);
});

test('a disk that gives EIO on fsync: dead for good, and no fsync is tried again', {
  skip: ROOT_ONLY,
}, async (t) => {
  const here = await stage(t, 'ext4');
  assert.equal(await here.read(), 1);
  fill(here.under);
  // New blocks have nowhere to go: the file system sees its device fail.
  writeFileSync(join(here.state, 'pressure'), Buffer.alloc(8 * 1024 * 1024, 1));
  let answer: number | string = 1;
  for (let n = 0; n < 60 && here.guards.unusable === 0; n += 1) answer = await here.read(n % 3);
  assert.equal(answer, 'unavailable');
  assert.equal(here.guards.unusable, 1);
  assert.equal(await here.read(), 'unavailable', 'an fsync is not tried again');
});

test('a file system that turns read-only under the log opens nothing', { skip: ROOT_ONLY }, async (t) => {
  const here = await stage(t, 'ext4');
  assert.equal(await here.read(), 1);
  run('mount', '-o', 'remount,abort', here.state);
  assert.equal(await here.read(1), 'unavailable');
  assert.equal(here.guards.unusable, 1);
});

test('a public folder that cannot be written ends the log', { skip: ROOT_ONLY }, async (t) => {
  const here = await stage(t, 'ext4');
  run('chattr', '-R', '+i', here.guards.logDir);
  t.after(() => quietly('chattr', '-R', '-i', here.guards.logDir));
  const got = await here.read();
  for (let n = 0; n < 40 && here.guards.unusable === 0; n += 1) await sleep(50);
  assert.equal(here.guards.unusable, 1);
  assert.ok(got === 1 || got === 'unavailable');
  assert.equal(await here.read(1), 'unavailable');
  run('chattr', '-R', '-i', here.guards.logDir);
  await here.guards.stopLedger();
  assert.ok((await here.last()).length > 0);
  await verified(here);
});

test('a disk that hangs for a while: bounded answers, nothing read late, the touch is spent, and it goes on', {
  skip: ROOT_ONLY,
}, async (t) => {
  const here = await stage(t, 'ext4', { sinkMs: 300, hungMs: 60_000 });
  assert.equal(await here.read(), 1);
  const core = here.guards.client('ledger', 'core');
  const browser = newBrowser();
  const grant = here.guards.grant(browser, [person(0)]);
  const body = { grant, assertion: touch(here.guards.passkey(), grant), rows: [] };
  const direct = here.guards.client('ledger', 'sealer');
  const before = here.guards.ledger.log.tree.size;
  run('fsfreeze', '-f', here.state);
  const at = performance.now();
  const all = await Promise.allSettled([
    direct.call('open', body),
    here.read(1),
    here.read(2),
    core.call('lock', { scope: 'admin', target: 'admin-zoe', reason: 'a test' }),
  ]);
  assert.ok(performance.now() - at < 3_000, 'nobody hangs');
  assert.deepEqual(
    all.map((one) => (one.status === 'rejected' ? one.reason.code : one.value)),
    ['unavailable', 'unavailable', 'unavailable', 'unavailable'],
  );
  assert.equal((await core.call<{ locked: object[] }>('status', {})).locked.length, 1, 'a lock holds at once');
  run('fsfreeze', '-u', here.state);
  await sleep(300);
  assert.equal(here.guards.unusable, 0);
  await assert.rejects(direct.call('open', body), { code: 'used' });
  const size = here.guards.ledger.log.tree.size;
  assert.ok(size >= before + 4, 'what was asked is in the log, though nothing was opened');
  assert.equal(await here.read(1), 1);
  await here.guards.stopLedger();
  await here.guards.startLedger();
  assert.equal(here.guards.ledger.status().locked.length, 1);
  await verified(here);
});

test('a disk that hangs for good ends the ledger; nothing is read even if it wakes up', {
  skip: ROOT_ONLY,
}, async (t) => {
  const here = await stage(t, 'ext4', { sinkMs: 200, hungMs: 700 });
  run('fsfreeze', '-f', here.state);
  assert.equal(await here.read(), 'unavailable');
  for (let n = 0; n < 60 && here.guards.unusable === 0; n += 1) await sleep(50);
  assert.equal(here.guards.unusable, 1, 'the process is told to end');
  run('fsfreeze', '-u', here.state);
  await sleep(200);
  assert.equal(await here.read(1), 'unavailable');
});
