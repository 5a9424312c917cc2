import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';

const LINGER = pathToFileURL(join(import.meta.dirname, '..', 'linger.ts')).href;

/** Runs a test file of one's own under the rule, with a grace of a quarter of a second: exit status, words, time. */
async function runFile(t: TestContext, body: string) {
  const dir = mkdtempSync(join(tmpdir(), 'btz-linger-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'rule.mjs'), `import { endWhatLingers } from '${LINGER}';\nendWhatLingers(250);\n`);
  const file = join(dir, 'x.test.mjs');
  writeFileSync(file, `import { createServer } from 'node:http';\nimport { after, test } from 'node:test';\n${body}`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, ['--import', join(dir, 'rule.mjs'), file], { env });
  const guard = setTimeout(() => child.kill('SIGKILL'), 30_000);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      said += part.toString();
    });
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(guard);
  return { status, said };
}

const OPEN = 'const server = createServer().listen(0);';

test('a test that fails with a server open ends soon, with what failed and what is open', async (t) => {
  const { status, said } = await runFile(t, `test('a', () => { ${OPEN} throw new Error('it broke'); });`);
  assert.equal(status, 1);
  assert.match(said, /✖ a/);
  assert.match(said, /open still: 1 TCPServerWrap/);
});

test('one that passes but leaves something open fails the same way', async (t) => {
  const { status, said } = await runFile(t, `test('a', () => { ${OPEN} });`);
  assert.equal(status, 1);
  assert.match(said, /open still/);
});

test('nobody is hurried while a test runs, and what cleans up in time is left in peace', async (t) => {
  const wait = 'new Promise((resolve) => setTimeout(resolve, 600))';
  const { status, said } = await runFile(
    t,
    `${OPEN}\nafter(() => server.close());\ntest('a', () => {});\ntest('b', () => ${wait});`,
  );
  assert.equal(status, 0, said);
  assert.doesNotMatch(said, /open still/);
});
