import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Hunter, inventPeople, peopleCsv, plantedValues } from '#sim';
import { openPool } from '#store';
import { until } from '../../src/run/stage.ts';
import type { Product } from '../../src/run/supervisor.ts';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import { withoutBrowser } from './browser-stage.ts';
import * as story from './browser-story.ts';
import { decoysOf } from './decoys.ts';
import { living, openDir } from './product.ts';

const PEOPLE = 400;

/** The whole heap of a process, as V8 writes it. */
async function heap(product: Product, name: 'glass' | 'intake', dir: string): Promise<Buffer> {
  process.kill(product.process(name).pid!, 'SIGUSR2');
  let size = -1;
  const file = () => readdirSync(dir).find((one) => one.endsWith('.heapsnapshot'));
  const whole = () => {
    const now = file() === undefined ? -1 : statSync(join(dir, file()!)).size;
    const same = now > 1_000_000 && now === size;
    size = now;
    return same;
  };
  assert.ok(await until(whole, 60_000, 700), `no heap snapshot of ${name}`);
  return readFileSync(join(dir, file()!));
}

async function give(page: Page, csv: string, dir: string): Promise<void> {
  const file = join(dir, 'people.csv');
  writeFileSync(file, csv);
  await page.getByLabel(/CSV file/).setInputFiles(file);
}

test('people are sealed in the browser: the server sees none of them in the clear, and stores all of them', {
  skip: withoutBrowser,
}, async (t) => {
  const dirs = { glass: openDir('btz-heap-'), intake: openDir('btz-heap-') };
  // each process writes its own
  for (const dir of Object.values(dirs)) chmodSync(dir, 0o777);
  const { product, stage, home } = await living(t, {
    ...{ people: 3, phones: 1, admins: 2, founders: 3 },
    before: async (running) => {
      for (const name of ['glass', 'intake'] as const) {
        await running.process(name).restart(['--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${dirs[name]}`]);
      }
    },
  });
  const pool = openPool(product.admin, { max: 2 });
  const chrome = await launch();
  t.after(async () => {
    await chrome.close();
    await pool.end();
  });
  const place = { console: product.urls.console, glass: product.urls.glass };
  const { admin, link } = product.founders[2]!;
  const person = await Person.arrive(chrome, admin, Object.values(place), screenshotPlace());
  await story.join(person, link, { look: false });

  // Others than the stage's: nobody of them has ever passed the server.
  const invented = inventPeople(PEOPLE, 77);
  const planted = plantedValues(invented);
  const hunter = new Hunter(planted);
  const csv = peopleCsv(invented);
  const work = openDir('btz-import-');
  const findings: string[] = [];
  const page = await person.open(`${place.glass}/#import`);
  page.setDefaultTimeout(60_000);
  const bodies: Buffer[] = [];
  page.on(
    'request',
    (request) => void bodies.push(request.postDataBuffer() ?? Buffer.alloc(0), Buffer.from(request.url())),
  );
  await page.getByLabel(/CSV file/).waitFor();

  await t.test('a file with wrong lines is told by line and code, and nothing is sent', async () => {
    const lines = csv.split('\r\n');
    lines[3] = lines[3]!.replace('@', ' at ');
    lines[5] = 'only,two';
    const sent = bodies.length;
    await give(page, lines.join('\r\n'), work);
    await page.getByText('2 lines are').waitFor();
    const rows = await page.getByRole('row').allTextContents();
    assert.ok(rows.some((row) => row.startsWith('4') && row.includes('email')));
    assert.ok(rows.some((row) => row.startsWith('6') && row.includes('columns')));
    assert.equal(bodies.length, sent, 'nothing left the browser');
    findings.push(...(await person.inspect(page, 'glass-import-refused')));
  });

  await t.test('with two touches everybody is sealed and stored, decoys among them', async () => {
    const before = decoysOf(home).size;
    await give(page, csv, work);
    await page.getByRole('button', { name: 'Touch and seal' }).waitFor();
    assert.equal(
      await page.getByText('has known before').count(),
      1,
      'the ledger was pinned when the passkey was made',
    );
    findings.push(...(await person.inspect(page, 'glass-import-judged')));
    await page.getByRole('button', { name: 'Touch and seal' }).click();
    await page.getByRole('button', { name: 'Touch and send' }).waitFor();
    const count = async () =>
      (await pool.query('select count(*)::int as n from people.person')).rows[0]!['n'] as number;
    const present = await count();
    await page.getByRole('button', { name: 'Touch and send' }).click();
    await page.getByText(`${PEOPLE} people are in the directory`).waitFor();
    const decoys = decoysOf(home).size - before;
    assert.equal(decoys, 8, '2 % decoys, which the ledger knows');
    assert.equal(await count(), present + PEOPLE + decoys);
    const settled = async () =>
      (await pool.query('select count(*)::int as n from people.arriving')).rows[0]!['n'] === 0;
    assert.ok(await until(settled, 60_000));
    const { rows } = await pool.query<{ n: number }>(
      "select count(*)::int as n from people.sealed where field = 'number'",
    );
    assert.ok(rows[0]!.n >= PEOPLE, 'the ledger took every value');
  });

  await t.test('a value that the page sealed is the one that an administrator reads', async () => {
    const decoys = decoysOf(home);
    const { rows } = await pool.query<{ handle: string }>(
      'select handle from people.person order by created_at desc, handle limit 60',
    );
    const some = rows
      .map(({ handle }) => handle)
      .filter((handle) => !decoys.has(handle))
      .slice(0, 5);
    const { values } = await stage.admins[0]!.reveal('name', some, 'a test of the import');
    const names = new Set(invented.map(({ given, family }) => `${given} ${family}`));
    assert.equal(Object.values(values).length, 5);
    for (const name of Object.values(values)) assert.ok(names.has(name));
  });

  await t.test('no planted value passed a socket, a log, the database or the memory of glass and intake', async () => {
    assert.ok(hunter.search(Buffer.from(csv)).length > 100, 'the hunter finds what is there');
    assert.ok(bodies.length > 10);
    assert.deepEqual(hunter.search(Buffer.concat(bodies)), [], 'requests of the page');
    const { hits, unread } = await hunter.searchPaths(
      ['logs', 'glass', 'intake', 'ledger/log', 'pg'].map((one) => join(home, one)),
    );
    assert.deepEqual([hits, unread], [[], []], 'files');
    for (const name of ['glass', 'intake'] as const) {
      assert.deepEqual(hunter.search(await heap(product, name, dirs[name])), [], `memory of ${name}`);
    }
  });

  assert.deepEqual(findings, []);
  assert.deepEqual(person.troubles, []);
});
