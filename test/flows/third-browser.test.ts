import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { splitRecovery } from '#backup';
import { recoveryKeyOf } from '#seal';
import { Hunter } from '#sim';
import { openPool } from '#store';
import { buildPages } from '../../src/run/pages.ts';
import { allOf, send } from '../../src/run/person.ts';
import { setStage, until } from '../../src/run/stage.ts';
import { startProduct } from '../../src/run/supervisor.ts';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { decoysOf } from './decoys.ts';
import { freePorts } from './product.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const without = existsSync(browser) ? false : 'no Chromium on this machine: install it, or name one in CHROMIUM';

/** Joins in a tab that stays: the key's PRF does not leave it. */
async function stay(person: Person, link: string, prf: boolean): Promise<Page> {
  const page = await person.open(link, { prf });
  await page.getByRole('button', { name: 'Create my passkey' }).click();
  await page.getByRole('heading', { name: 'Your passkey is registered' }).waitFor();
  await person.keep(page);
  return page;
}

/** Another task of the same page: only the fragment changes, and the key stays plugged in. */
const go = (page: Page, hash: string) => page.goto(`${new URL(page.url()).origin}/${hash}`);

async function register(page: Page): Promise<void> {
  await go(page, '#third-lock');
  await page.getByRole('button', { name: 'Register my passkey' }).click();
}

test('the third lock, in real browsers: made, put in force, shared; who has no PRF reads nothing', {
  skip: without,
}, async (t) => {
  await buildPages();
  const home = mkdtempSync(join(tmpdir(), 'btz-third-'));
  chmodSync(home, 0o711);
  const cards = randomBytes(32);
  const recovery = recoveryKeyOf(cards);
  const product = await startProduct({ home, founders: 7, demo: true, recovery, portBase: await freePorts() });
  const stage = await setStage(product, { people: 12, phones: 1, admins: 2, pollMs: 1_000 });
  const pool = openPool(product.admin, { max: 1 });
  const chrome = await launch();
  t.after(async () => {
    await pool.end();
    await chrome.close();
    await stage.close();
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  });
  const place = { console: product.urls.console, glass: product.urls.glass };
  const shots = screenshotPlace();
  const arrive = async (n: number) => {
    const { admin, link } = product.founders[n]!;
    const person = await Person.arrive(chrome, admin, Object.values(place), shots);
    return { person, page: await stay(person, link, n !== 5) };
  };
  const [ada, bo, cy, dan] = [await arrive(2), await arrive(3), await arrive(4), await arrive(5)];
  const findings: string[] = [];

  // A key without PRF says so at once, and changes nothing.
  await register(dan.page);
  await dan.page.getByText('has no PRF').waitFor();
  findings.push(...(await dan.person.inspect(dan.page, 'third-no-prf')));
  for (const { page, person } of [ada, bo]) {
    await register(page);
    await page.getByRole('rowheader', { name: person.name }).waitFor();
  }
  await bo.page.getByRole('button', { name: 'Make the third lock' }).click();
  await bo.page.getByText('It is the one that was made in this browser.').waitFor();
  findings.push(...(await bo.person.inspect(bo.page, 'third-made')));

  // The console asks, two people sign; one of them compares it with what was made.
  const seat = (await story.signIn(ada.person, place, { look: false })).page;
  await seat.goto(`${place.console}/keys`);
  await seat.getByRole('button', { name: 'Change the key' }).click();
  const dialog = seat.getByRole('dialog');
  await dialog.getByLabel('Why?').fill('the ministry asks for it');
  await dialog.getByRole('checkbox').check();
  findings.push(...(await ada.person.inspect(seat, 'third-ask')));
  await dialog.getByRole('button', { name: 'Make the key and ask' }).click();
  const link = (await dialog.getByRole('link', { name: 'Review and sign' }).getAttribute('href'))!;
  for (const { page } of [ada, bo]) {
    await go(page, new URL(link).hash);
    await page.getByText('under the third lock').first().waitFor();
    if (page === bo.page) findings.push(...(await bo.person.inspect(page, 'third-approve')));
    await page.getByRole('button', { name: 'Touch and sign' }).click();
    await page.getByText(/^Signed\./).waitFor();
  }
  const [reader] = stage.admins;
  const keys = async () =>
    (await reader!.call('GET', '/api/keys')).body as { left?: number; third?: { inForce: boolean } };
  assert.ok(await until(async () => (await keys()).third?.inForce === true && (await keys()).left === 0, 30_000));

  const told = async () => 'third' in ((await send(place.glass, 'GET', '/api/keys')).body['keys'] as object);
  assert.ok(await until(told, 10_000), 'pages are told, too');
  const decoys = decoysOf(home);
  const some = (await allOf<{ handle: string }>(reader!, '/api/people'))
    .map(({ handle }) => handle)
    .filter((handle) => !decoys.has(handle))
    .slice(0, 3)
    .sort();
  // What the servers give to whoever has no box: nothing that anybody can read.
  const blind = await reader!.reveal('name', some, 'a look without the third lock');
  assert.equal(blind.answer.status, 200);
  assert.deepEqual(blind.values, {});
  const reveal = async ({ page }: { page: Page }, field: string) => {
    await go(page, `#reveal=${field}&subjects=${some.join(',')}`);
    await page.getByLabel('Why do you need them?').fill('a call back');
    await page.getByRole('button', { name: 'Touch and reveal' }).click();
  };
  for (const field of ['name', 'number']) {
    await ada.page.reload();
    await reveal(ada, field);
    await ada.page.getByText(/was written to the log/).waitFor();
    const shown = await ada.page.locator('tbody td').allTextContents();
    assert.equal(shown.length, 3);
    for (const value of shown) assert.ok(stage.planted.includes(value), 'glass showed a value of the import');
    if (field === 'name') findings.push(...(await ada.person.inspect(ada.page, 'third-revealed')));
  }
  // Who has no box yet, or no PRF, is told before anything is asked or counted.
  const read = async () =>
    (await pool.query(`select from log.event where kind in ('directory.revealed', 'directory.refused')`)).rowCount;
  const before = await read();
  await dan.page.reload();
  await reveal(dan, 'number');
  await dan.page.getByText('has no PRF').waitFor();
  await register(cy.page);
  await cy.page.getByText('not yet').waitFor();
  await cy.page.reload();
  await reveal(cy, 'number');
  await cy.page.getByText('not shared with this passkey yet').waitFor();
  assert.equal(await read(), before);

  // Nobody who can open it is here: three cards, on a machine without network.
  await go(cy.page, '#third-lock');
  await cy.page.reload();
  await cy.page.getByText('Nobody who can open it is here any more').click();
  findings.push(...(await cy.person.inspect(cy.page, 'third-recovery')));
  const saved = cy.page.waitForEvent('download');
  await cy.page.getByRole('button', { name: 'Fetch the file' }).click();
  const boxes = join(home, 'boxes.json');
  const input = (await splitRecovery(cards)).slice(0, 3).map(({ text }) => `${text}\n`);
  const said = execFileSync('bin/bartizan', ['third-lock', 'recover', await (await saved).path(), '--out', boxes], {
    ...{ input: input.join(''), encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] },
  });
  assert.match(said, /1 box is in/);
  await cy.page.getByLabel('Boxes from the recovery key').setInputFiles(boxes);
  await cy.page.getByText('not yet').waitFor({ state: 'detached' });
  await cy.page.reload();
  await reveal(cy, 'name');
  await cy.page.getByText(/was written to the log/).waitFor();

  // A fourth joins late, and is let in by a colleague.
  const eve = await arrive(6);
  await register(eve.page);
  await eve.page.getByText('not yet').waitFor();
  await go(bo.page, '#third-lock');
  await bo.page.reload();
  await bo.page.getByRole('button', { name: 'Let 1 more in' }).click();
  await bo.page.getByText('not yet').waitFor({ state: 'detached' });
  findings.push(...(await bo.person.inspect(bo.page, 'third-shared')));
  await eve.page.reload();
  await reveal(eve, 'number');
  await eve.page.getByText(/was written to the log/).waitFor();

  await seat.goto(`${place.console}/keys`);
  await seat.getByText('third lock in force').waitFor();
  findings.push(...(await ada.person.inspect(seat, 'third-keys')));
  assert.deepEqual(findings, []);
  const all = [ada, bo, cy, dan, eve].map(({ person }) => person);
  const addresses = all.flatMap((one) => one.addresses);
  assert.deepEqual(new Hunter(stage.planted).search(Buffer.from(addresses.join('\n'))), [], 'no name in an address');
  assert.deepEqual(
    all.flatMap(({ troubles }) => troubles),
    [],
  );
});
