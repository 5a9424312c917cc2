import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { toBase64url, uuidv7 } from '#base';
import { foundLedger, Ledger } from '#guard';
import { DEFAULT_CAPS } from '#seal';
import { buildGoVerifier, opensslVerifies } from '../../src/run/foreign.ts';
import { logFolder, verifyLogDir } from '../../src/run/log-verify.ts';

// Our own log, written by the real ledger, is read by Go's golang.org/x/mod/sumdb, which shares no code with us.
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'btz-log'));
after(() => rmSync(folder, { recursive: true, force: true }));

const silent = { info() {}, warn() {}, error() {} };
const state = join(folder, 'ledger');
const logDir = join(state, 'log');
const options = {
  org: 'org-test',
  state,
  logDir,
  origin: 'http://glass.localhost:8441',
  caps: DEFAULT_CAPS,
  clock: () => Date.now(),
  logger: silent,
  onUnusable: () => assert.fail('the log became unusable'),
};

let n = 0;
const leaves = (count: number) =>
  Array.from({ length: count }, () => ({
    n: ++n,
    uid: uuidv7(),
    time: Date.now(),
    type_uid: 300401,
    actor: null,
    digest: toBase64url(randomBytes(32)),
  }));

test('Go verifies signature, every inclusion and all consistency; any flipped byte is found by both', async (t) => {
  const keys = await foundLedger(
    options,
    [{ admin: 'admin-ada', role: 'administrator', tokenSha256: 'A'.repeat(43) }],
    [],
  );
  const ledger = await Ledger.open(options);
  const older: string[] = [];
  for (const count of [1, 5, 248, 1, 1, 200, 300]) {
    const batch = leaves(count);
    await ledger.append(batch[0]!.n, batch);
    await ledger.log.publish();
    const copy = join(folder, `checkpoint-${older.length}`);
    copyFileSync(join(logDir, 'checkpoint'), copy);
    older.push(copy);
  }
  await ledger.close();

  const report = await verifyLogDir(logDir, { verifierKey: keys.log });
  assert.deepEqual(report.problems, []);
  assert.equal(report.entries, 757);

  const program = await buildGoVerifier(folder);
  const go = async (dir: string) => {
    const { stdout } = await run(program!, [keys.log, dir, ...older]).catch((error: { stdout: string }) => error);
    return JSON.parse(stdout) as { ok: boolean; entries: number; consistency: number; problem?: string };
  };
  await t.test('Go', { skip: program === undefined && 'no Go toolchain on this machine' }, async () => {
    assert.deepEqual(await go(logDir), { ok: true, entries: 757, consistency: older.length });
  });

  await t.test('the verifier program, which shares no code with the server either', async () => {
    const program = join(import.meta.dirname, '..', '..', 'verify', 'main.ts');
    const args = ['log', logDir, '--key', keys.log, ...older.flatMap((path) => ['--older', path]), '--json'];
    const { stdout } = await run(process.execPath, [program, ...args]);
    const { ok, entries, kept } = JSON.parse(stdout) as { ok: boolean; entries: number; kept: unknown[] };
    assert.deepEqual({ ok, entries, kept: kept.length }, { ok: true, entries: 757, kept: older.length });
  });

  await t.test('OpenSSL takes the checkpoint as signed, and no other', async () => {
    const checkpoint = readFileSync(join(logDir, 'checkpoint'), 'utf8');
    assert.ok(await opensslVerifies(checkpoint, keys.log, folder));
    assert.ok(!(await opensslVerifies(checkpoint.replace('\n757\n', '\n756\n'), keys.log, folder)));
    assert.ok(!(await opensslVerifies(readFileSync(older[0]!, 'utf8').replace(/— /, '- '), keys.log, folder)));
  });

  // Files that the present checkpoint consists of: Go reads these; ours also reads the earlier partial tiles.
  const current = ['checkpoint', 'tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/245'];
  current.push('tile/0/000', 'tile/0/001', 'tile/0/002.p/245', 'tile/1/000.p/2');
  const all = await logFolder(logDir).list();
  for (const path of current) assert.ok(all.includes(path), path);
  const bent = join(folder, 'bent');
  await cp(logDir, bent, { recursive: true });
  const flip = async (path: string, check: () => Promise<void>) => {
    const file = join(bent, path);
    const bytes = readFileSync(file);
    const at = randomInt(statSync(file).size);
    const before = bytes[at]!;
    bytes[at] = before ^ (1 << randomInt(8));
    writeFileSync(file, bytes);
    await check();
    bytes[at] = before;
    writeFileSync(file, bytes);
  };
  for (let round = 0; round < 60; round++) {
    const path = round % 2 === 0 ? current[(round / 2) % current.length]! : all[randomInt(all.length)]!;
    await flip(path, async () => {
      assert.equal((await verifyLogDir(bent, { verifierKey: keys.log })).ok, false, `ours missed a flip in ${path}`);
      if (program === undefined || !current.includes(path)) return;
      assert.equal((await go(bent)).ok, false, `Go missed a flip in ${path}`);
    });
  }
  assert.ok((await verifyLogDir(bent, { verifierKey: keys.log })).ok, 'the copy is whole again');
});
