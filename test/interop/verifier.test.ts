import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { checkpointOf, cosigned, LOG_KEY, makeLog, POLICY_TEXT } from '../tamper/logs.ts';

// The verifier as a stranger runs it: a process of its own, from a copy of its folder with nothing else beside it.
const ROOT = join(import.meta.dirname, '..', '..');
const dir = mkdtempSync(join(tmpdir(), 'btz-verifier-'));
after(() => rmSync(dir, { recursive: true, force: true }));
cpSync(join(ROOT, 'verify'), join(dir, 'verify'), { recursive: true });
writeFileSync(join(dir, 'package.json'), '{"type":"module"}');

interface Told {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}
const verify = (...args: string[]): Promise<Told> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(dir, 'verify/main.ts'), ...args], { cwd: dir }, (error, out, err) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
const file = (name: string, bytes: string | Uint8Array): string => {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), bytes);
  return join(dir, name);
};

const entries = Array.from({ length: 600 }, (_, n) => Buffer.from(`{"n":${n}}`));
for (const [path, bytes] of makeLog(entries, 500)) file(`log/${path}`, bytes);
const log = join(dir, 'log');
const older = file('older', checkpointOf(entries, 257));
const policy = file('policy', POLICY_TEXT);
file('evidence/590/checkpoint', checkpointOf(entries, 590));
file('evidence/590/cosigned', cosigned(checkpointOf(entries, 590), Date.now()));
const evidence = join(dir, 'evidence');

test('a whole log: what was derived is told, and what cannot be known without kept checkpoints', async () => {
  const alone = await verify('log', log, '--key', LOG_KEY);
  assert.equal(alone.status, 0, alone.err);
  assert.match(alone.out, /^600 entries re-derived/);
  assert.match(alone.out, /rolled back or made anew is NOT known/);
  const { status, out } = await verify(
    'log',
    log,
    '--policy',
    policy,
    '--older',
    older,
    '--evidence',
    evidence,
    '--json',
  );
  const report = JSON.parse(out) as { ok: boolean; kept: unknown[]; witnessed: { entries: number; by: unknown[] } };
  assert.equal(status, 0, out);
  assert.equal(report.kept.length, 3);
  assert.equal(report.witnessed.entries, 590);
  assert.equal(report.witnessed.by.length, 2);
});

test('a rolled back, a forked and an unwitnessed log are named, with status 1', async () => {
  const bent = entries.with(100, Buffer.from('{"n":-1}'));
  for (const [name, files, said] of [
    ['back', makeLog(entries.slice(0, 250)), /ROLLED BACK: the log had 257 entries, now it has 250/],
    ['fork', makeLog(bent), /FORK: the first 257 entries are not those/],
  ] as const) {
    for (const [path, bytes] of files) file(`${name}/${path}`, bytes);
    const told = await verify('log', join(dir, name), '--key', LOG_KEY, '--older', older);
    assert.equal(told.status, 1);
    assert.match(told.out, said);
  }
  const lonely = await verify('log', log, '--policy', policy, '--older', older);
  assert.equal(lonely.status, 1);
  assert.match(lonely.out, /NOT WITNESSED/);
});

test('a link among the files is not followed', async () => {
  cpSync(log, join(dir, 'linked'), { recursive: true });
  rmSync(join(dir, 'linked/tile/0/000'));
  symlinkSync(join(log, 'tile/0/000'), join(dir, 'linked/tile/0/000'));
  const told = await verify('log', join(dir, 'linked'), '--key', LOG_KEY);
  assert.equal(told.status, 1);
  assert.match(told.out, /tile\/0\/000: The tile is missing/);
});

test('bad questions get status 2 and say what to do; what cannot be read gets 3', async () => {
  for (const [args, said] of [
    [['log', log], /Say whose log it is/],
    [['log', log, '--key', `${LOG_KEY.slice(0, -4)}AAA=`], /wrong key id|no verifier key/],
    [['log', log, '--kee', LOG_KEY], /Unknown option/],
    [['log', 'http://log.example/', '--key', LOG_KEY], /https:\/\//],
    [['log', log, '--policy', file('bad', 'witness w0 x\n')], /Line 1 of the policy/],
    [['log', log, '--policy', file('bad2', `log ${LOG_KEY}\nquorum who\n`)], /Line 2 .* who is not defined/],
    [['frob'], /bartizan-verify log/],
  ] as const) {
    const told = await verify(...args);
    assert.equal(told.status, 2, args.join(' '));
    assert.match(told.err, said);
    assert.equal(told.out, '');
  }
  assert.equal((await verify('log', join(dir, 'nowhere'), '--key', LOG_KEY)).status, 3);
  assert.equal((await verify('log', 'http://127.0.0.1:9/', '--key', LOG_KEY)).status, 3);
});

test('a log behind an address is read as its folder is; redirects are not followed', async () => {
  let gone = false;
  const server = createServer((request, response) => {
    if (gone) return response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
    try {
      return response.end(readFileSync(join(log, decodeURI(request.url ?? '').replace('/at/', ''))));
    } catch {
      return response.writeHead(404).end();
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}/at`;
  try {
    const told = await verify('log', url, '--key', LOG_KEY, '--older', older);
    assert.equal(told.status, 0, told.out + told.err);
    gone = true;
    assert.equal((await verify('log', url, '--key', LOG_KEY)).status, 3);
  } finally {
    server.close();
  }
});

test('the product writes a proof file of an entry, and it verifies offline for this entry alone', async () => {
  const { program } = await import('../../src/run/cli.ts');
  const out = join(dir, 'e42');
  const under = join(evidence, '590/cosigned');
  await program.parseAsync(['log', 'proof', log, '42', '--out', out, '--checkpoint', under], { from: 'user' });
  const proof = (...args: string[]) => verify('proof', `${out}.tlog-proof`, ...args);
  const told = await proof('--entry', `${out}.entry`, '--policy', policy);
  assert.equal(told.status, 0, told.err + told.out);
  assert.match(told.out, /^entry 42 of log\.example\/org, in the log of 590 entries\nwitnessed by w0 at /);
  assert.equal((await proof('--entry', file('other', '{"n":43}'), '--policy', policy)).status, 1);
  const text = readFileSync(`${out}.tlog-proof`, 'utf8');
  for (const [word, bent] of [
    ['another place', text.replace('index 42', 'index 43')],
    ['a hash less', text.replace(/(index 42\n)[^\n]+\n/, '$1')],
    ['no signature of the log', text.replace(/\u2014 log[^\n]+\n/, '')],
    ['a witness less', text.replace(/\u2014 witness\.example\/two[^\n]+\n/, '')],
    ['another form', text.replace('@v1', '@v2')],
  ] as const) {
    const one = await verify('proof', file('bent', bent), '--entry', `${out}.entry`, '--policy', policy);
    assert.equal(one.status, 1, word);
  }
  await assert.rejects(
    program.parseAsync(['log', 'proof', log, '600', '--out', out], { from: 'user' }),
    /no entry 600: this checkpoint covers 600/,
  );
});
