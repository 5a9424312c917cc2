import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { openLine, Phone } from '#sim';
import { openPool } from '#store';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { living } from './product.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const without = existsSync(browser) ? false : 'no Chromium on this machine: install it, or name one in CHROMIUM';

test('an administrator sees a phone that says it is another, agrees, makes a link anew, and frees a device with two holders', {
  skip: without,
}, async (t) => {
  const { product, stage } = await living(t, { people: 6, phones: 3, admins: 2, founders: 4, pollMs: 60_000 });
  const chrome = await launch();
  const line = openLine({ sockets: 2 });
  const pool = openPool(product.admin, { max: 1 });
  t.after(async () => {
    line.close();
    await chrome.close();
    await pool.end();
  });
  const place = { console: product.urls.console, glass: product.urls.glass };
  const founder = product.founders[2]!;
  const ada = await Person.arrive(chrome, founder.admin, Object.values(place), screenshotPlace());
  await story.join(ada, founder.link);
  const { page } = await story.signIn(ada, place);
  const findings: string[] = [];
  page.setDefaultTimeout(20_000);
  const [phone] = stage.fleet.phones as readonly Phone[];
  const { rows } = await pool.query<{ handle: string }>('select handle from fleet.device where udid = $1', [
    phone!.state.udid,
  ]);
  const device = rows[0]!.handle;
  const offered = await stage.admins[0]!.call('POST', '/api/enrolments', { holders: [null] });
  const { link, device: fresh } = (offered.body['items'] as { link: string; device: string }[])[0]!;
  const erased = new Phone({ ...structuredClone(phone!.state), enrolment: null, identity: null }, { send: line.send });
  await assert.rejects(erased.enrol(link), /Authenticate was refused/);

  await page.goto(`${place.console}/devices/${device}`);
  await page.getByRole('heading', { name: 'Phones that say they are another' }).waitFor();
  findings.push(...(await ada.inspect(page, 'claim-device')));
  await page.goto(`${place.console}/enrolment`);
  await page.getByRole('heading', { name: 'Phones that say they are another' }).waitFor();
  findings.push(...(await ada.inspect(page, 'claim-enrolment')));
  await page.getByRole('button', { name: 'It is the same phone' }).click();
  findings.push(...(await ada.inspect(page, 'claim-agree')));
  await page.getByRole('dialog').getByRole('button', { name: 'It is the same phone' }).click();
  await page.getByRole('heading', { name: 'Phones that say they are another' }).waitFor({ state: 'detached' });
  await erased.enrol(link);
  await page.goto(`${place.console}/devices/${fresh}`);
  await page.getByText('enrolled', { exact: true }).first().waitFor();

  await pool.query('update fleet.device set two_holders_at = now() where handle = $1', [fresh]);
  await page.reload();
  await page.getByText('Two hold the keys of this device.').waitFor();
  findings.push(...(await ada.inspect(page, 'two-holders')));
  await page.getByRole('button', { name: 'Let its commands go on' }).click();
  await page.getByText('Two hold the keys of this device.').waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Link to enrol it anew' }).click();
  await page.getByRole('dialog', { name: 'Enrolment link' }).waitFor();
  findings.push(...(await ada.inspect(page, 'enrol-anew')));
  assert.deepEqual(findings, []);
  assert.deepEqual(ada.troubles, []);
});
