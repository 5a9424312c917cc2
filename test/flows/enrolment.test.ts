import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DepService, DeviceAuthority, KeyPool, newPhone, openLine, Phone, setUp } from '#sim';
import { fromPem, toPem } from '#wire';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { living } from './product.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const without = existsSync(browser) ? false : 'no Chromium on this machine: install it, or name one in CHROMIUM';

test('links are made in a browser: the code on the screen enrols a phone, the file lists all, revoking ends one', {
  skip: without,
}, async (t) => {
  const apple = new DepService();
  const endpoint = await apple.start();
  const { product } = await living(t, {
    ...{ founders: 4, caps: { perTouch: 5 }, phones: 1 },
    before: async ({ home }) => writeFileSync(join(home.state('core'), 'ade-endpoint'), endpoint, { mode: 0o644 }),
  });
  const chrome = await launch();
  const line = openLine();
  const dir = mkdtempSync(join(tmpdir(), 'btz-qr-'));
  t.after(async () => {
    line.close();
    apple.close();
    await chrome.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const place = { console: product.urls.console, glass: product.urls.glass };
  const founder = product.founders[2]!;
  const ada = await Person.arrive(chrome, founder.admin, Object.values(place), screenshotPlace());
  await story.join(ada, founder.link);
  const { page } = await story.signIn(ada, place);

  await page.goto(`${place.console}/people`);
  await page.locator('tbody tr').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByRole('link', { name: 'Make enrolment links' }).click();
  await page.getByLabel('Whose devices are they?').selectOption('personal');
  const findings = await ada.inspect(page, 'enrolment-make');
  await page.getByRole('button', { name: 'Make the links' }).click();
  await page.getByRole('heading', { name: '2 enrolment links' }).waitFor();
  findings.push(...(await ada.inspect(page, 'enrolment-made')));
  const shown = await page.locator('.link-box').textContent();
  await page.locator('svg.qr').screenshot({ path: join(dir, 'qr.png') });
  const read = execFileSync('zbarimg', ['--quiet', '--raw', join(dir, 'qr.png')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
  assert.equal(read, shown);
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save as CSV' }).click();
  await (await download).saveAs(join(dir, 'links.csv'));
  const csv = readFileSync(join(dir, 'links.csv'), 'utf8').trim().split('\r\n');
  assert.equal(csv.length, 3);
  assert.match(csv[1]!, /^"[a-z]+-[a-z]+-\d{4}","[a-z]+-[a-z]+-\d{4}","personal","[^"]+","[^"]+\/enrol\/[\w-]{43}"$/);
  assert.ok(csv[1]!.includes(read));
  await page.getByRole('button', { name: 'Close' }).click();

  const phone = new Phone(newPhone({ deviceName: 'Somebody’s phone' }), { send: line.send, keyPool: new KeyPool() });
  await phone.enrol(read);
  await page.locator('.chip', { hasText: 'used' }).first().waitFor();
  await page
    .getByRole('button', { name: /^Revoke the link/ })
    .first()
    .click();
  await page.locator('.chip', { hasText: 'revoked' }).first().waitFor();
  findings.push(...(await ada.inspect(page, 'enrolment')));
  const second = new Phone(newPhone({ deviceName: 'Too late' }), { send: line.send, keyPool: new KeyPool() });
  const other = /[^"]+\/enrol\/[\w-]{43}/.exec(csv[2]!)![0];
  await assert.rejects(second.enrol(other), { status: 410 });

  // Device assignment: the key, the token, what Apple's device authority is, and a device that sets itself up.
  await page.getByRole('button', { name: 'Make the server key' }).click();
  await page.getByText('Certificate for Apple Business Manager').click();
  const certificate = (await page.locator('pre.pre').textContent())!;
  const token = join(dir, 'token.p7m');
  writeFileSync(token, apple.token(fromPem(certificate)));
  await page.locator('input[type=file]').setInputFiles(token);
  await page.getByText('Example Agency').waitFor();
  const authority = new DeviceAuthority();
  await page.getByRole('button', { name: 'How devices are set up' }).click();
  await page.getByLabel('Give new devices our profile').check();
  await page.getByLabel('Apple’s device authorities').fill(toPem('CERTIFICATE', authority.certificate.der));
  findings.push(...(await ada.inspect(page, 'enrolment-policy')));
  await page.getByRole('button', { name: 'Save' }).click();
  const bought = new Phone(newPhone({ deviceName: 'iPhone' }), { send: line.send, keyPool: new KeyPool() });
  apple.buy({ serial_number: bought.state.serial, model: 'iPhone 15', device_family: 'iPhone' });
  await page.getByRole('button', { name: 'Sync now' }).click();
  await page.locator('tr', { hasText: bought.state.serial }).getByText('assigned', { exact: true }).waitFor();
  bought.state.awaitingConfiguration = true;
  await setUp(bought, `${product.urls.edge}/ade`, { identity: authority.identity(bought.state.udid) });
  for (let tries = 0; bought.state.awaitingConfiguration; tries += 1) {
    assert.ok(tries < 40, 'the phone hangs in Setup Assistant');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await bought.poll();
  }
  await page.locator('tr', { hasText: bought.state.serial }).getByText('enrolled', { exact: true }).waitFor();
  findings.push(...(await ada.inspect(page, 'enrolment-ade')));
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 1280, 'nothing sticks out');
  await page
    .getByRole('link', { name: /^[a-z]+-[a-z]+-\d{4}$/ })
    .first()
    .click();
  // What is above comes by itself and pushes the button down: under a click that is on its way it would be gone.
  await page.getByText('No rule speaks of this device.').waitFor();
  await page.getByText('In none.').waitFor();
  await page.getByRole('button', { name: 'It is the holder’s own' }).click();
  await page.getByRole('dialog').waitFor();
  findings.push(...(await ada.inspect(page, 'device-owner')));
  await page.getByRole('button', { name: 'Mark as personal' }).click();
  await page.getByText('the holder (never erased)').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Erase', exact: true }).isDisabled(), true);
  assert.deepEqual(findings, []);
  assert.deepEqual(ada.troubles, []);
});
