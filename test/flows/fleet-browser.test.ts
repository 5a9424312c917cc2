import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { living } from './product.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const without = existsSync(browser) ? false : 'no Chromium on this machine: install it, or name one in CHROMIUM';

test('an administrator filters, saves a group, makes a rule and retires a device, with evidence', {
  skip: without,
}, async (t) => {
  const { product, stage } = await living(t, { people: 10, phones: 6, admins: 2, founders: 4, pollMs: 800 });
  stage.fleet.start();
  const chrome = await launch();
  t.after(() => chrome.close());
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
  findings.push(...(await ada.inspect(page, 'fleet-filter')));
  await page.getByRole('button', { name: 'Save as group' }).click();
  await page.getByLabel('Name').fill('Eighteen and later');
  await page.getByRole('button', { name: 'Save group' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.goto(`${place.console}/groups`);
  await page.getByRole('link', { name: '6', exact: true }).waitFor();
  findings.push(...(await ada.inspect(page, 'fleet-groups')));
  await page.getByRole('link', { name: '6', exact: true }).click();
  await page.getByText('6 devices').waitFor();

  await page.goto(`${place.console}/compliance`);
  await page.getByRole('button', { name: 'New rule' }).click();
  await page.getByLabel('Name').fill('System nineteen');
  await page.getByLabel('For', { exact: true }).selectOption({ label: 'Eighteen and later' });
  await page.getByLabel('Grace, days').fill('0');
  await page.getByLabel('Value for System version').fill('19');
  findings.push(...(await ada.inspect(page, 'fleet-rule')));
  await page.getByRole('button', { name: 'Save rule' }).click();
  await page.getByRole('button', { name: '6 not compliant' }).click();
  await page.getByText('the rule asks for: at least 19').first().waitFor();
  findings.push(...(await ada.inspect(page, 'fleet-compliance')));

  const device = (await page.locator('.command a').first().textContent()) ?? '';
  await page.getByRole('link', { name: device }).click();
  await page.getByRole('heading', { level: 1, name: device }).waitFor();
  await page.getByText('the rule asks for: at least 19').waitFor();
  findings.push(...(await ada.inspect(page, 'fleet-device')));
  await page.getByRole('button', { name: 'Retire' }).click();
  await page.getByLabel('Why?').fill('The holder has left');
  findings.push(...(await ada.inspect(page, 'fleet-retire')));
  await page.getByRole('button', { name: 'Unenrol' }).click();
  await page.getByRole('dialog').getByRole('link', { name: 'Retirements' }).click();
  // The phone takes the command at its next poll; the rest follows by itself.
  await page.getByText('retired', { exact: true }).waitFor({ timeout: 60_000 });
  findings.push(...(await ada.inspect(page, 'fleet-retired')));
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Evidence (text)' }).click(),
  ]);
  const chunks: Buffer[] = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  assert.match(text, /the device acknowledged the command; it is forgotten/);
  assert.match(text, /\| \d+ \| [^|]+ \| retire\.step/, 'with leaf numbers');
  assert.ok(text.includes(device));
  assert.equal(stage.fleet.phones.filter((phone) => phone.enrolled).length, 5, 'one phone is not managed any more');
  assert.deepEqual(findings, []);
  assert.deepEqual(ada.troubles, []);
});
