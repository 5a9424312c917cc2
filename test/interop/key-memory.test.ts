import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { foundSealer } from '#guard';
import { x25519Secret } from '#seal';

// What `lock` is worth against somebody who can read the sealer's memory a moment later: every writable page is searched.
const folder = mkdtempSync(join(tmpdir(), 'btz-memory-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** How often these bytes stand in the process's writable memory. */
function count(pid: number, needle: Buffer): number {
  let found = 0;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined || to === undefined) continue;
    const end = Number.parseInt(to, 16);
    for (let at = Number.parseInt(from, 16); at < end; at += 1 << 22) {
      // Parts overlap, so that nothing is missed where they meet.
      const part = Buffer.alloc(Math.min((1 << 22) + needle.length - 1, end - at));
      try {
        readSync(memory, part, 0, part.length, at);
      } catch {
        continue;
      }
      for (let hit = part.indexOf(needle); hit >= 0; hit = part.indexOf(needle, hit + 1)) found++;
    }
  }
  closeSync(memory);
  return found;
}

test('a lock takes the key out of the sealer’s memory; loading brings it back', async (t) => {
  const state = join(folder, 'sealer');
  const { sealer: someKey } = await foundSealer(state, []);
  const child = spawn(
    process.execPath,
    [
      '--expose-gc',
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'sealer-memory.ts'),
      state,
      someKey,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value as string;
  assert.equal(await next(), 'open');
  const secret = x25519Secret(readFileSync(join(state, 'organisation.key')));
  assert.ok(count(child.pid!, secret) > 0, 'while it works the key is there: the search finds it');
  for (let round = 0; round < 1; round++) {
    child.stdin.write('lock\n');
    const locked = await next();
    t.diagnostic(`${locked} ms`);
    assert.ok(Number(locked.split(' ')[1]) < 1_000, 'within a second');
    assert.equal(count(child.pid!, secret), 0, 'no copy is left anywhere');
    child.stdin.write('load\n');
    t.diagnostic(`${await next()} ms`);
    assert.ok(count(child.pid!, secret) > 0);
  }
  child.stdin.end();
});
