import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { toBase64url, uuidv7 } from '#base';
import {
  EvidenceFolder,
  type EvidenceOptions,
  evidenceState,
  logId,
  remakeFiles,
  SettingsFile,
  showWitnesses,
  stampCheckpoints,
  tellSilence,
} from '#evidence';
import { foundLedger, Ledger } from '#guard';
import { emit, numberEvents } from '#log';
import { DEFAULT_CAPS, type GuardClient } from '#seal';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { foundWitness, Memory, serveWitness } from '#witness';
import { readCheckpoint } from '../../src/guard/reading.ts';
import { policyOf } from '../../src/run/cli-evidence.ts';
import { authority, peer } from './evidence-stage.ts';
import { buildGo } from './go-build.ts';

// A real ledger, a witness of ours, transparency-dev's witness and a time stamp authority of OpenSSL; the database as core.
const run = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), 'btz-evidence-'));
const silent = { info() {}, warn() {}, error() {} };
const T0 = Date.now();
let clock = T0;
const now = () => clock;
const state = join(dir, 'ledger');
const ledgerOptions = {
  ...{ org: 'org-test', state, logDir: join(state, 'log'), origin: 'http://glass.localhost:8441', caps: DEFAULT_CAPS },
  ...{
    clock: () => Date.now(),
    logger: silent,
    onUnusable: () => {
      unusable += 1;
    },
  },
};
let database: TestDatabase;
let pool: Pool;
let ledger: Ledger;
let key: string;
let tsa: Awaited<ReturnType<typeof authority>>;
let foreign: { url: string; keys: string[]; child: ChildProcess };
let ours: { url: string; keys: readonly string[]; memory: Memory; away(): Promise<void>; back(): Promise<void> };
let options: EvidenceOptions;
const settingsFile = join(dir, 'evidence.json');
const folder = join(dir, 'evidence');

/** The door that core has: the same function behind it, without the socket. */
const client = {
  call: (type: string, { from, seen }: { from: number; seen?: string }) => {
    assert.equal(type, 'checkpoint');
    // The database may have gone back in time with the ledger; then only those outside know more.
    return readCheckpoint(ledger.log, from, forgetful ? undefined : seen);
  },
} as unknown as GuardClient;

let forgetful = false;
let unusable = 0;
let n = 0;
async function grow(count: number): Promise<void> {
  const leaves = Array.from({ length: count }, () => ({
    ...{ n: ++n, uid: uuidv7(), time: Date.now(), type_uid: 300401, actor: null },
    digest: toBase64url(randomBytes(32)),
  }));
  await ledger.append(leaves[0]!.n, leaves);
}

async function startForeign(): Promise<typeof foreign> {
  const program = await buildGo('foreignwitness');
  const child = spawn(program, ['serve', 'foreign.example/w2', key], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve) =>
    child.stdout!.once('data', (part: Buffer) => resolve(part.toString())),
  );
  return { ...(JSON.parse(line) as { url: string; keys: string[] }), child };
}

async function startOurs(): Promise<typeof ours> {
  const at = join(dir, 'witness');
  const signers = foundWitness(at, 'witness.example/w1');
  const memory = Memory.open(at);
  memory.add(key);
  const start = (port: number) =>
    serveWitness({ host: '127.0.0.1', port, memory, signers, clock: now, logger: silent });
  let serving = await start(0);
  const { port } = serving;
  return {
    ...{ url: `http://127.0.0.1:${port}/`, keys: signers.verifiers, memory },
    away: () => serving.close(),
    back: async () => {
      serving = await start(port);
    },
  };
}

const configure = (change: object = {}) =>
  writeFileSync(
    settingsFile,
    JSON.stringify({
      witnesses: [
        { name: 'ours', url: ours.url, keys: ours.keys },
        { name: 'foreign', url: foreign.url, keys: foreign.keys },
      ],
      authorities: [{ name: 'openssl', url: tsa.url }],
      ...{ everySeconds: 30, alarmMinutes: 15, stampMinutes: 10 },
      ...change,
    }),
  );
const later = (ms: number) => {
  clock += ms;
};
const events = async (kind: string) =>
  (
    await pool.query<{ body: { unmapped: Record<string, unknown> } }>(
      'select body from log.event where kind = $1 order by seq',
      [kind],
    )
  ).rows.map(({ body }) => body.unmapped);
const kept = () => join(folder, logId(key));

before(async () => {
  database = await testDatabase();
  pool = openPool(database.as('core'), { max: 4, name: 'test' });
  await pool.query('select log.prepare_days(2)');
  key = (
    await foundLedger(ledgerOptions, [{ admin: 'admin-ada', role: 'administrator', tokenSha256: 'A'.repeat(43) }], [])
  ).log;
  ledger = await Ledger.open(ledgerOptions);
  [tsa, foreign, ours] = await Promise.all([authority(join(dir, 'tsa')), startForeign(), startOurs()]);
  options = {
    pool,
    ledger: client,
    key,
    now,
    folder: new EvidenceFolder(folder),
    settings: new SettingsFile(settingsFile),
  };
  configure();
});
after(async () => {
  foreign?.child.stdin?.end();
  await ours?.away();
  await tsa?.close();
  await ledger?.close();
  await pool?.end();
  await database?.close();
  rmSync(dir, { recursive: true, force: true });
});

test('our witness and a foreign one cosign what grows; the verifier and Go take the files beside the log', async () => {
  await grow(5);
  assert.equal(await showWitnesses(options), 2);
  assert.equal(await showWitnesses(options), 0, 'not due');
  await grow(600);
  later(31_000);
  assert.equal(await showWitnesses(options), 2);
  await tsaRound();
  const { witnesses } = await evidenceState(pool);
  assert.deepEqual(
    witnesses.map(({ name, failures }) => [name, failures]),
    [
      ['foreign', 0],
      ['ours', 0],
    ],
  );
  const size = witnesses[0]!.size;
  assert.equal(ours.memory.of('org-test') ?? ours.memory.logs[0]!.newest.size, size);
  const policy = join(dir, 'policy');
  const sites = [
    { name: 'ours', url: ours.url, keys: ours.keys },
    { name: 'foreign', url: foreign.url, keys: foreign.keys },
  ];
  writeFileSync(policy, policyOf(key, { witnesses: sites }, 'all'));
  const main = join(import.meta.dirname, '../../verify/main.ts');
  const { stdout } = await run(process.execPath, [
    ...[main, 'log', join(state, 'log'), '--policy', policy, '--evidence', kept(), '--json'],
  ]);
  const report = JSON.parse(stdout) as { witnessed: { entries: number; by: unknown[] }; stamps: unknown[] };
  assert.equal(report.witnessed.entries, size);
  assert.equal(report.witnessed.by.length, 4, 'two witnesses with two keys each');
  assert.equal(report.stamps.length, 1);
  const judge = join(dir, 'judge');
  const opened = await run(await buildGo('foreignwitness'), [
    ...['open', join(kept(), String(size), 'cosigned'), key, ...ours.keys, ...foreign.keys],
  ]);
  assert.equal(opened.stdout.trim().split(' ').length, 5, judge);
});

async function tsaRound(): Promise<number> {
  return stampCheckpoints(options);
}

const stampsOf = (size: number | string) =>
  readdirSync(join(kept(), String(size))).filter((name) => name.endsWith('.tsr'));

test('time stamps: OpenSSL takes each for its checkpoint and for no other; one each ten minutes, if there is something new', async () => {
  const { stamps } = await evidenceState(pool);
  const size = stamps.size!;
  const [reply] = stampsOf(size);
  const at = (name: string) => join(kept(), String(size), name);
  assert.ok(await tsa.verifies(at('checkpoint'), at(reply!)));
  assert.ok(!(await tsa.verifies(at('cosigned'), at(reply!))));
  const asked = tsa.asked();
  await grow(1);
  assert.equal(await tsaRound(), 0, 'ten minutes have not passed');
  later(601_000);
  assert.equal(await tsaRound(), 1);
  later(601_000);
  assert.equal(await tsaRound(), 0, 'nothing new');
  assert.equal(tsa.asked(), asked + 1);
});

test('what lies beside the log is made again from the database, byte for byte', async () => {
  const files = () =>
    Object.fromEntries(
      readdirSync(kept(), { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => [join(one.parentPath, one.name), readFileSync(join(one.parentPath, one.name), 'base64')]),
    );
  const before = files();
  assert.ok(Object.keys(before).length >= 6);
  assert.equal(await remakeFiles(pool, options.folder, key), 0);
  rmSync(kept(), { recursive: true });
  assert.ok((await remakeFiles(pool, options.folder, key)) >= 3);
  assert.deepEqual(files(), before);
});

test('what need not be kept goes: of cosigned checkpoints all but the newest 200, of old regular stamps all but one a day', async () => {
  const log = 'ffffffff';
  await pool.query(
    "insert into evidence.checkpoint (log, size, note) select $1, n, 'x' from generate_series(1, 250) n",
    [log],
  );
  for (const [size, reason, daysAgo] of [
    [10, 'incident-opened', '400 days'],
    [20, 'regular', '40 days 2 hours'],
    [30, 'regular', '40 days 1 hour'],
    [40, 'regular', '2 days'],
  ] as const)
    await pool.query(
      `insert into evidence.stamp (log, size, reason, reply, asked_at)
       values ($1, $2, $3, 'x', date_trunc('day', now()) + interval '12 hours' - $4::interval)`,
      [log, size, reason, daysAgo],
    );
  await pool.query('select evidence.prune()');
  const left = await pool.query<{ size: number }>('select size from evidence.checkpoint where log = $1 order by size', [
    log,
  ]);
  assert.deepEqual(
    left.rows.map(({ size }) => size),
    [10, 30, 40, ...Array.from({ length: 200 }, (_, n) => n + 51)],
  );
  const stamps = await pool.query<{ size: number }>('select size from evidence.stamp where log = $1 order by size', [
    log,
  ]);
  assert.deepEqual(
    stamps.rows.map(({ size }) => size),
    [10, 30, 40],
  );
});

test('an incident is stamped when it opens and closes, over a checkpoint that covers the event', async () => {
  later(601_000);
  await grow(1);
  assert.equal(await tsaRound(), 1, 'the regular one is out of the way');
  const detail = { incident: '00000000-0000-4000-8000-000000000001' };
  await emit(pool, { kind: 'incident.opened', actor: 'core', detail: { ...detail, principal: '' } });
  await emit(pool, { kind: 'incident.updated', actor: 'core', detail: { ...detail, what: 'note' } });
  await emit(pool, { kind: 'incident.updated', actor: 'core', detail: { ...detail, what: 'closed' } });
  await numberEvents(pool);
  assert.equal(await tsaRound(), 0, 'the ledger does not have the event yet');
  await grow(3);
  await pool.query('update log.event set leaf = 1 where n is not null and leaf is null');
  assert.equal(await tsaRound(), 2);
  assert.equal(await tsaRound(), 0);
  const { rows } = await pool.query<{ reason: string }>(
    'select reason from evidence.stamp where incident is not null order by reason',
  );
  assert.deepEqual(
    rows.map(({ reason }) => reason),
    ['incident-closed', 'incident-opened'],
  );
});

test('who is away is asked again: the alarm is given once, nothing is lost, and the return is told', async () => {
  await Promise.all([ours.away(), tsa.away()]);
  await grow(2);
  await emit(pool, { kind: 'incident.opened', actor: 'core', detail: { incident: 'x', principal: '' } });
  await numberEvents(pool);
  await pool.query('update log.event set leaf = 1 where n is not null and leaf is null');
  for (let minutes = 0; minutes < 21; minutes += 1) {
    later(60_000);
    await showWitnesses(options);
    await tsaRound();
    await tellSilence(options);
  }
  assert.equal((await evidenceState(pool)).witnesses.find(({ name }) => name === 'ours')?.code, 'unreachable');
  assert.deepEqual(
    (await events('witness.silent')).map(({ witness, code }) => [witness, code]),
    [['ours', 'unreachable']],
  );
  assert.equal((await events('timestamp.silent')).length, 1);
  assert.ok((await evidenceState(pool)).stamps.waiting >= 2, 'the incident and the regular one');
  await Promise.all([ours.back(), tsa.back()]);
  later(601_000);
  assert.ok((await showWitnesses(options)) >= 1);
  assert.ok((await tsaRound()) >= 2);
  assert.equal((await evidenceState(pool)).stamps.waiting, 0);
  assert.deepEqual(
    (await events('witness.back')).map(({ witness }) => witness),
    ['ours'],
  );
});

test('a ledger that goes back in time, and one that forks, are named by both witnesses', async () => {
  cpSync(state, join(dir, 'before'), { recursive: true });
  await grow(40);
  later(601_000);
  assert.equal(await showWitnesses(options), 2);
  const goBack = async () => {
    await ledger.close();
    rmSync(state, { recursive: true });
    cpSync(join(dir, 'before'), state, { recursive: true });
    ledger = await Ledger.open(ledgerOptions);
  };
  cpSync(state, join(dir, 'whole'), { recursive: true });
  await goBack();
  assert.equal(unusable, 0);
  later(31_000);
  // Shown its own signature on what it does not contain, the ledger stops for good, over restarts too.
  await assert.rejects(showWitnesses(options), { code: 'fork' });
  assert.equal(unusable, 1);
  assert.ok((await events('log.trouble')).every(({ what }) => what === 'fork'));
  assert.ok((await events('log.trouble')).length >= 1, 'the watch has a rule for it');
  n -= 40;
  await assert.rejects(grow(1), { code: 'unavailable' });
  n += 39;
  await ledger.close();
  await assert.rejects(Ledger.open(ledgerOptions), { code: 'fork' });
  // The right files put back, it goes on by itself.
  for (const name of ['journal', 'log']) {
    rmSync(join(state, name), { recursive: true });
    cpSync(join(dir, 'whole', name), join(state, name), { recursive: true });
  }
  ledger = await Ledger.open(ledgerOptions);
  later(601_000);
  assert.equal(await showWitnesses(options), 2);
  // Where nobody of ours remembers, the witnesses do.
  await goBack();
  forgetful = true;
  later(31_000);
  assert.equal(await showWitnesses(options), 0);
  assert.deepEqual(
    (await events('witness.refused')).map(({ code }) => code),
    ['ahead', 'ahead'],
  );
  n -= 40;
  await grow(60);
  later(601_000);
  assert.equal(await showWitnesses(options), 0);
  assert.deepEqual(
    (await events('witness.refused')).slice(2).map(({ code }) => code),
    ['fork', 'fork'],
  );
  later(601_000);
  await showWitnesses(options);
  assert.equal((await events('witness.refused')).length, 4, 'told once');
  assert.ok(readdirSync(join(dir, 'witness/logs')).some((name) => name.includes('.exhibit-')));
});

test('wrong answers from outside are no evidence', async () => {
  let answer: [number, string, string] = [200, 'text/plain', ''];
  const liar = await peer((request, response) => {
    request.resume().on('end', () => response.writeHead(answer[0], { 'content-type': answer[1] }).end(answer[2]));
  });
  try {
    const witnesses = [{ name: 'liar', url: liar.url, keys: [ours.keys[0]] }];
    configure({ witnesses, authorities: [{ name: 'liar', url: liar.url }] });
    const cosigned = readFileSync(
      join(kept(), readdirSync(kept()).sort((a, b) => Number(b) - Number(a))[0]!, 'checkpoint'),
      'utf8',
    );
    for (const [said, code] of [
      [[200, 'text/plain', 'nothing'], 'answer'],
      [[200, 'text/plain', cosigned.slice(cosigned.indexOf('— '))], 'answer'],
      [[404, 'text/plain', ''], 'unknown-log'],
      [[302, 'text/plain', ''], 'status-302'],
      [[409, 'text/x.tlog.size', 'many'], 'answer'],
      [[200, 'text/plain', 'x'.repeat(100_000)], 'unreachable'],
    ] as const) {
      answer = [...said];
      later(3_600_000);
      assert.equal(await showWitnesses(options), 0);
      const { witnesses: rows } = await evidenceState(pool);
      assert.deepEqual(
        rows.map((row) => [row.name, row.code]),
        [['liar', code]],
      );
    }
    answer = [200, 'application/timestamp-reply', 'no stamp'];
    await grow(1);
    assert.equal(await tsaRound(), 0);
    assert.equal((await evidenceState(pool)).stamps.waiting, 1);
  } finally {
    await liar.away();
  }
});
