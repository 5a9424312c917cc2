import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeIpa } from '../interop/ipa.ts';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { living } from './product.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const without = existsSync(browser) ? false : 'no Chromium on this machine: install it, or name one in CHROMIUM';

test('an administrator hands in an app, rolls it out, gives a device its holder and shuts a set for its rings', {
  skip: without,
}, async (t) => {
  const { product, stage } = await living(t, { people: 10, phones: 6, admins: 2, founders: 4, pollMs: 800 });
  stage.fleet.start();
  const chrome = await launch();
  const dir = mkdtempSync(join(tmpdir(), 'btz-ipa-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
    return chrome.close();
  });
  writeFileSync(join(dir, 'field.ipa'), makeIpa({ bytes: 3 * 1024 * 1024 }));
  writeFileSync(join(dir, 'none.ipa'), Buffer.alloc(5000, 7));
  const place = { console: product.urls.console, glass: product.urls.glass };
  const founder = product.founders[2]!;
  const ada = await Person.arrive(chrome, founder.admin, Object.values(place), screenshotPlace());
  await story.join(ada, founder.link);
  const { page } = await story.signIn(ada, place);
  const findings: string[] = [];
  page.setDefaultTimeout(20_000);

  await page.goto(`${place.console}/devices`);
  await page.getByRole('button', { name: 'Filter by facts' }).click();
  await page.getByRole('button', { name: 'Add a condition' }).click();
  await page.getByLabel('Value for System version').fill('18');
  await page.getByText('6 devices fit now').waitFor();
  await page.getByRole('button', { name: 'Save as group' }).click();
  await page.getByLabel('Name').fill('Field phones');
  await page.getByRole('button', { name: 'Save group' }).click();
  // Whoever goes before the answer is there takes the request back.
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  await page.goto(`${place.console}/apps`);
  await page.getByRole('button', { name: 'Hand in a package' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('input[type=file]').setInputFiles(join(dir, 'none.ipa'));
  await dialog.getByRole('button', { name: 'Hand it in' }).click();
  await dialog.getByText('no ZIP archive').waitFor();
  findings.push(...(await ada.inspect(page, 'apps-refused')));
  await dialog.locator('input[type=file]').setInputFiles(join(dir, 'field.ipa'));
  await dialog.getByRole('button', { name: 'Hand it in' }).click();
  await dialog.getByText('org.example.field 1.2').waitFor();
  findings.push(...(await ada.inspect(page, 'apps-handed-in')));
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByText('1 package, the newest 1.2').click();
  await page.getByText('signed', { exact: true }).waitFor();
  await page.getByLabel('Assign Field notes to a group').selectOption({ label: 'Field phones (6)' });
  await page.getByText('Take away').waitFor();
  findings.push(...(await ada.inspect(page, 'apps')));
  await page.getByRole('button', { name: 'Roll out Field notes' }).click();
  await dialog.getByLabel('Why?').fill('The new field notes');
  findings.push(...(await ada.inspect(page, 'apps-rollout')));
  await dialog.getByRole('button', { name: 'Start with the first ring' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.goto(`${place.console}/approvals`);
  await page.getByText('5 devices').first().waitFor();
  findings.push(...(await ada.inspect(page, 'apps-approval')));

  await page.goto(`${place.console}/declarations`);
  await page.getByRole('button', { name: 'New set' }).click();
  await dialog.getByLabel('Name').fill('For later');
  await dialog.getByLabel('Field phones').check();
  await dialog.getByLabel('In rings').check();
  findings.push(...(await ada.inspect(page, 'set-in-rings')));
  await dialog.getByRole('button', { name: 'Save set' }).click();
  await page.getByRole('link', { name: 'in rings' }).click();
  await page.getByRole('heading', { name: 'Field notes' }).waitFor();
  await page.getByRole('button', { name: 'Start a rollout' }).click();
  await dialog.getByLabel('What').selectOption({ label: 'For later' });
  findings.push(...(await ada.inspect(page, 'rollout-of-a-set')));
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  findings.push(...(await ada.inspect(page, 'rollouts')));

  const device = stage.fleet.phones.length > 0 ? await firstDevice(page, place.console) : '';
  await page.goto(`${place.console}/people`);
  const person = (await page.locator('tbody th').first().textContent())!.trim();
  await page.goto(`${place.console}/devices/${device}`);
  await page
    .getByRole('button', { name: /Give it a holder|Change/ })
    .first()
    .click();
  await dialog.getByLabel('Handle').fill('grand-otter-9999');
  await dialog.getByRole('button', { name: 'Give it', exact: true }).click();
  await dialog.getByText('nobody with this handle').waitFor();
  await dialog.getByLabel('Handle').fill(person);
  findings.push(...(await ada.inspect(page, 'device-holder')));
  await dialog.getByRole('button', { name: 'Give it', exact: true }).click();
  await page.getByRole('link', { name: person }).first().waitFor();
  await page.goto(`${place.console}/enrolment`);
  await page.getByRole('button', { name: 'Name holders' }).click();
  await dialog.getByLabel('List').fill(`serial,handle\nABC123XYZ,${person}\nnonsense\nDEF456,grand-otter-9999`);
  await dialog.getByRole('button', { name: 'Name them' }).click();
  await dialog.getByText('1 wait for Apple').waitFor();
  findings.push(...(await ada.inspect(page, 'holders')));
  assert.deepEqual(findings, []);
  assert.deepEqual(ada.troubles, []);
});

async function firstDevice(page: Awaited<ReturnType<typeof story.signIn>>['page'], console: string): Promise<string> {
  await page.goto(`${console}/devices`);
  const link = page.locator('tbody a[href^="/devices/"]').first();
  await link.waitFor();
  return (await link.textContent())!.trim();
}
