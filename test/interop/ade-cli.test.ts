import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Ade, AdeFiles } from '#fleet';
import { DepService, DeviceAuthority } from '#sim';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { fromPem } from '#wire';
import { adeCertificate, adeStatus, handOverAdeToken, nameHolders } from '../../src/run/cli-ade.ts';
import type { Home } from '../../src/run/home.ts';

// The command line beside a core that works, against a local service that keeps Apple's rules.
const apple = new DepService();
const dir = mkdtempSync(join(tmpdir(), 'btz-ade-cli-'));
const home = {
  dir,
  config: (name: string) => join(dir, `${name}.json`),
  state: (name: string) => join(dir, name),
} as Home;
let database: TestDatabase;
let core: Pool;
let owner: Pool;
let stopped = false;
let working: Promise<void>;

before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'));
  owner = openPool(database.admin, { max: 1 });
  mkdirSync(join(dir, 'core'));
  writeFileSync(join(dir, 'core', 'ade-endpoint'), await apple.start());
  writeFileSync(home.config('core'), JSON.stringify({ database: database.as('core') }));
  const ade = new Ade({
    ...{ pool: core, files: new AdeFiles(join(dir, 'core')), now: Date.now },
    where: { edge: 'https://edge.example', organisation: 'Example Agency' },
  });
  working = (async () => {
    while (!stopped) {
      await ade.step();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
});
after(async () => {
  stopped = true;
  await working;
  apple.close();
  for (const pool of [core, owner]) await pool.end();
  await database.close();
  rmSync(dir, { recursive: true, force: true });
});

const eventually = async (holds: () => Promise<boolean>) => {
  for (let times = 0; !(await holds()); times += 1) {
    assert.ok(times < 200, 'it never becomes so');
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};

test('key, token and status by the command line: what is wrong is said, what is right is counted', async () => {
  const empty = await adeStatus(home, Date.now());
  assert.deepEqual([empty.ok, empty.daysLeft, empty.devices], [false, null, 0]);
  const pem = await adeCertificate(home);
  assert.equal(await adeCertificate(home), pem, 'the key is made once');
  const foreign = await handOverAdeToken(home, apple.token(Buffer.from(new DeviceAuthority().certificate.der)));
  assert.equal(foreign.problem, 'ade-token');
  await assert.rejects(handOverAdeToken(home, Buffer.alloc(0)), { code: 'usage' });
  apple.buy({ serial_number: 'SERONEX', model: 'iPad', device_family: 'iPad' });
  const taken = await handOverAdeToken(home, apple.token(fromPem(pem), 300));
  assert.deepEqual([taken.problem, taken.orgName], [null, 'Example Agency']);
  await eventually(async () => (await adeStatus(home, Date.now())).devices === 1);
  const status = await adeStatus(home, Date.now());
  assert.ok(status.ok && status.daysLeft! >= 298 && status.daysLeft! <= 300);
  assert.ok(status.syncedAt !== null);
  assert.equal((await adeStatus(home, Date.now() + 400 * 86_400_000)).ok, false, 'a token that ended is not right');
});

test('holders by the command line: people of the directory only', async () => {
  await owner.query(`insert into people.person (handle) values ('coral-heron-1234')`);
  await owner.query(`insert into people.person (handle, left_at) values ('brisk-heron-1234', now())`);
  const done = await nameHolders(
    home,
    'SERONEX,coral-heron-1234\nSERTWOX,coral-heron-1234\nSERFOURX,brisk-heron-1234\nSERFIVEX,grand-otter-9999\nSERSIX',
  );
  assert.deepEqual([done.given, done.waits], [1, 1]);
  assert.deepEqual(done.nobody, ['brisk-heron-1234', 'grand-otter-9999']);
  assert.deepEqual(
    done.refused.map(({ line }) => line),
    [5],
  );
  const status = await adeStatus(home, Date.now());
  assert.deepEqual([status.held, status.expected], [1, 1]);
});

test('a core that does not answer is said to be silent', async () => {
  stopped = true;
  await working;
  await assert.rejects(handOverAdeToken(home, Buffer.from('junk'), 300), { code: 'no-answer' });
});
