import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { encodeProofFile, leafHash, signCheckpoint, Tree, verifierKey } from '#proof';
import { foundWitness, Memory } from '#witness';
import { buildGo } from './go-build.ts';

// Our witness, as a process of its own, against a client and judges that share no code with it.
const run = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), 'btz-witness-'));
const ORIGIN = 'log.example/org';
const { privateKey } = generateKeyPairSync('ed25519');
const LOG_KEY = verifierKey(ORIGIN, privateKey);
const entries = Array.from({ length: 4_000 }, (_, n) => Buffer.from(`entry ${n}`));
const tree = new Tree();
for (const entry of entries) tree.append(leafHash(entry));
const noteOf = (size: number) => signCheckpoint({ origin: ORIGIN, size, root: tree.root(size) }, privateKey);
const file = (name: string, text: string | Uint8Array): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const home = join(dir, 'witness');
const { verifiers } = foundWitness(home, 'witness.example/w1');
Memory.open(home).add(LOG_KEY);

let foreign: string;
let child: ChildProcess;
let url = '';

/** Starts the witness; its log line says the port. */
async function start(): Promise<void> {
  const script = join(import.meta.dirname, '../../src/run/witness.ts');
  child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, '--dir', home, '--listen', '127.0.0.1:0'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const port = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stderr!.on('data', (part: Buffer) => {
      said += part;
      const found = /"port":(\d+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(said)));
  });
  url = `http://127.0.0.1:${port}`;
}
const ended = (signal: 'SIGKILL' | 'SIGTERM') =>
  new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill(signal);
  });

before(async () => {
  [foreign] = await Promise.all([buildGo('foreignwitness'), start()]);
});
after(async () => {
  if (child.exitCode === null && child.signalCode === null) await ended('SIGTERM');
  rmSync(dir, { recursive: true, force: true });
});

const ask = (old: number, size: number, note = noteOf(size)) =>
  run(foreign, [
    ...['ask', url, String(old), file('asked', note)],
    ...(old === 0 || old >= size ? [] : tree.consistency(old, size).map((hash) => hash.toString('base64'))),
  ]).then(
    ({ stdout }) => stdout,
    (error: { stderr: string }) => error.stderr.trim(),
  );

test('a foreign client gets cosignatures that foreign verifiers take, and understands every refusal', async () => {
  assert.match(await ask(5, 10), /old size != current, it has 0/);
  const lines = await ask(0, 10);
  const cosigned = file('cosigned', noteOf(10) + lines);
  const { stdout } = await run(foreign, ['open', cosigned, LOG_KEY, ...verifiers]);
  assert.equal(stdout, `${ORIGIN} witness.example/w1 witness.example/w1\n`, 'the log, Ed25519 and ML-DSA-44');
  const bent = file('bent', readFileSync(cosigned, 'utf8').replace('\n10\n', '\n11\n'));
  await assert.rejects(run(foreign, ['open', bent, LOG_KEY, ...verifiers]));
  assert.match(await ask(0, 20), /it has 10/);
  assert.match(await ask(10, 20), /^— witness\.example\/w1 /);
  const another = signCheckpoint({ origin: ORIGIN, size: 20, root: tree.root(19) }, privateKey);
  assert.match(await ask(20, 20, another), /roots do not match/);
  const forked = signCheckpoint({ origin: ORIGIN, size: 30, root: tree.root(29) }, privateKey);
  assert.match(await ask(20, 30, forked), /consistency proof invalid/);
  const unknown = signCheckpoint({ origin: 'log.example/x', size: 30, root: tree.root(30) }, privateKey);
  assert.match(await ask(20, 30, unknown), /unknown log/);
  const strange = signCheckpoint(
    { origin: ORIGIN, size: 30, root: tree.root(30) },
    generateKeyPairSync('ed25519').privateKey,
  );
  assert.match(await ask(20, 30, strange), /no valid signatures/);
});

test('torchwood takes our proof files by a policy with our witness, and no other entry', async () => {
  const lines = await ask(20, 300);
  const proof = file(
    'p.tlog-proof',
    encodeProofFile({ index: 123, proof: tree.inclusion(123, 300), checkpoint: noteOf(300) + lines }),
  );
  // torchwood 0.9 reads Ed25519 witnesses.
  const policy = file('policy', `log ${LOG_KEY}\nwitness w1 ${verifiers[0]}\nquorum w1\n`);
  const judge = (of: string) => run(foreign, ['proof', policy, proof, of]);
  assert.equal((await judge(file('entry', entries[123]!))).stdout, 'ok\n');
  await assert.rejects(judge(file('entry', entries[124]!)));
});

test('killed again and again while it signs, it never forgets what it signed', async () => {
  const raw = (old: number, size: number) =>
    fetch(`${url}/add-checkpoint`, {
      method: 'POST',
      body: `old ${old}\n${tree
        .consistency(old, size)
        .map((hash) => `${hash.toString('base64')}\n`)
        .join('')}\n${noteOf(size)}`,
    });
  let signed = 300;
  let kills = 0;
  for (; kills < 6; kills += 1) {
    const until = Date.now() + randomInt(20, 120);
    const killed = new Promise<void>((resolve) =>
      setTimeout(() => void ended('SIGKILL').then(() => resolve()), until - Date.now()),
    );
    try {
      for (;;) {
        const answer = await raw(signed, signed + 1);
        const body = await answer.text();
        if (answer.status === 200) signed += 1;
        else if (answer.status === 409) signed = Math.max(signed, Number(body));
        else if (answer.status !== 429) assert.fail(`${answer.status} ${body}`);
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      await killed;
    }
    const kept = Memory.open(home).of(ORIGIN)!.newest;
    // One more may have been kept than was answered; never less.
    assert.ok(kept.size === signed || kept.size === signed + 1, `signed ${signed}, kept ${kept.size}`);
    assert.deepEqual(kept.root, tree.root(kept.size));
    await start();
    const back = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: `old 300\n\n${noteOf(300)}` });
    assert.equal(back.status, 409, 'a roll-back to the beginning');
    assert.equal(Number(await back.text()), kept.size);
    signed = kept.size;
  }
  assert.ok(signed > 300);
});
