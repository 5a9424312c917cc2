import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { type Phone, updateWanted } from '#sim';
import { until } from '../../src/run/stage.ts';
import { allWell, type Desk, fleetAtDesks, withoutBrowser } from './browser-stage.ts';
import * as story from './browser-story.ts';

const PASSCODE = 'org.example.passcode';
const WATCH = 'org.example.watch';
const release = (version: string, build: string, models: readonly string[]) => ({
  ...{ ProductVersion: version, Build: build, PostingDate: '2026-09-01', ExpirationDate: '2099-01-01' },
  SupportedDevices: models,
});

const row = (page: Page | Locator, identifier: string) =>
  page.getByRole('listitem').filter({ hasText: identifier }).first();
const has = (phone: Phone, identifier: string) => phone.ddm.state.held.some((one) => one.identifier === identifier);
const does = (phone: Phone, identifier: string) => phone.ddm.active().some((one) => one.identifier === identifier);

/** Writes a declaration in the editor and stores it. */
async function declare(page: Page, identifier: string, type: string, payload: object): Promise<void> {
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'New declaration' }).click();
  await dialog.getByLabel('Identifier').fill(identifier);
  await dialog.getByLabel('Type', { exact: true }).fill(type);
  await dialog.getByLabel('Payload').fill(JSON.stringify(payload));
  await dialog.getByRole('button', { name: 'Store' }).click();
  await dialog.waitFor({ state: 'detached' });
}

test('an administrator declares, scopes, looks, plans an update and takes all of it away again', {
  skip: withoutBrowser,
}, async (t) => {
  const fleet = await fleetAtDesks(t, { phones: 5, desks: 2, groups: { Tablets: 'iPad' } });
  const { stage, pool, place, findings, handleOf } = fleet;
  const [{ person: ada, page }, { person: bo, page: second }] = fleet.desks as [Desk, Desk];
  const { phones } = stage.fleet;
  const tablet = phones.find((phone) => phone.state.productName.startsWith('iPad'))!;
  const handset = phones.find((phone) => phone !== tablet)!;

  await t.test('what breaks Apple’s keys is named where it is written, and nothing is stored', async () => {
    await page.goto(`${place.console}/declarations`);
    await page.getByRole('button', { name: 'New declaration' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Identifier').fill(PASSCODE);
    await dialog.getByText('Keys: ').waitFor();
    await dialog.getByLabel('Payload').fill('{"MinimumLength": ');
    await dialog.getByRole('button', { name: 'Check' }).click();
    await dialog.locator('.field-error').waitFor();
    await dialog.getByLabel('Payload').fill('{"MinimumLength": "eight", "Colour": 1}');
    await dialog.getByRole('button', { name: 'Store' }).click();
    await dialog.getByText('MinimumLength', { exact: true }).waitFor();
    await dialog.getByText('Colour', { exact: true }).waitFor();
    findings.push(...(await ada.inspect(page, 'declaration-wrong')));
    const { rows } = await pool.query('select from fleet.declaration where identifier = $1', [PASSCODE]);
    assert.equal(rows.length, 0);
    await dialog.getByLabel('Payload').fill('{"MinimumLength": 8, "RequirePasscode": true}');
    await dialog.getByRole('button', { name: 'Check' }).click();
    await dialog.getByText('It is valid.').waitFor();
    findings.push(...(await ada.inspect(page, 'declaration-right')));
    await dialog.getByRole('button', { name: 'Store' }).click();
    await row(page, PASSCODE).getByText('current').waitFor();
  });

  await t.test('a set goes to a group, then to a device too, and asks each device first', async () => {
    await page.getByRole('button', { name: 'New set' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Codes');
    await dialog.getByLabel(PASSCODE).check();
    await dialog.getByLabel('Tablets').check();
    await dialog.getByRole('button', { name: 'Dry run' }).click();
    await dialog
      .getByText('It is for 0 devices now and would be for 1: 1 come in, 0 go. 1 device would change at once.')
      .waitFor();
    findings.push(...(await ada.inspect(page, 'declaration-set')));
    await dialog.getByRole('button', { name: 'Save set' }).click();
    assert.ok(await until(() => does(tablet, PASSCODE), 15_000), 'the tablet of the group applies it');
    assert.equal(has(handset, PASSCODE), false);

    await page.getByRole('button', { name: 'Change of Codes' }).click();
    await dialog.getByLabel('And these devices').fill('nobody-nowhere-1234');
    await dialog.getByRole('button', { name: 'Save set' }).click();
    await dialog.getByText('At least one of the devices is not known.').waitFor();
    await dialog.getByLabel('And these devices').fill(handleOf(handset));
    await dialog.getByLabel('Only while').fill("@status(device.model.family) == 'iPhone'");
    await dialog.getByRole('button', { name: 'Save set' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.ok(await until(() => does(handset, PASSCODE), 15_000), 'the named handset applies it');
    assert.ok(await until(() => has(tablet, PASSCODE) && !does(tablet, PASSCODE), 15_000), 'the tablet holds it, idle');
    await page.goto(`${place.console}/devices/${handleOf(handset)}`);
    const declared = page.locator('section', { has: page.getByRole('heading', { name: 'Declarations' }) });
    await row(declared, PASSCODE).getByText('applied', { exact: true }).waitFor();
  });

  await t.test('what is dangerous reaches the device of its set once two people signed for exactly that', async () => {
    const payload = { EnrollmentProfileURL: 'https://watch.example/enrol' };
    await page.goto(`${place.console}/declarations`);
    await declare(page, WATCH, 'com.apple.configuration.watch.enrollment', payload);
    await row(page, WATCH).getByText('needs two people').waitFor();
    await page.getByRole('button', { name: 'New set' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Watches');
    await dialog.getByLabel(WATCH).check();
    await dialog.getByLabel('And these devices').fill(handleOf(handset));
    await dialog.getByRole('button', { name: 'Save set' }).click();
    await row(page, 'Watches').getByText('1 dangerous, 1 device waits for two people').waitFor();
    await row(page, 'Watches').getByRole('button', { name: 'Ask two people' }).click();
    await dialog.getByLabel('Why').fill('watches of the pilot group');
    findings.push(...(await ada.inspect(page, 'declaration-ask')));
    await dialog.getByRole('button', { name: 'Ask', exact: true }).click();
    await dialog.getByText('It waits for two signatures').waitFor();
    assert.equal(has(handset, WATCH), false);
    findings.push(...(await story.sign(ada, page, place, 'glass-declare')));
    assert.equal(has(handset, WATCH), false, 'one signature is not enough');
    findings.push(...(await story.sign(bo, second, place, 'glass-declare-second')));
    assert.ok(await until(() => does(handset, WATCH), 20_000), 'the device of the set applies it');
    assert.equal(has(tablet, WATCH), false);
    await page.goto(`${place.console}/declarations`);
    await row(page, 'Watches').getByText('agreed until').waitFor();
    await row(page, WATCH).getByRole('button', { name: 'Particulars' }).click();
    await page.getByText('Version 1: current').waitFor();
    findings.push(...(await ada.inspect(page, 'declarations-all')));
  });

  await t.test('a file is kept for an asset, with its address, size and hash', async () => {
    await page.getByRole('button', { name: 'Store data' }).click();
    const dialog = page.getByRole('dialog');
    const content = Buffer.from('{"greeting": "welcome"}');
    await dialog
      .getByLabel('File')
      .setInputFiles({ name: 'welcome.json', mimeType: 'application/json', buffer: content });
    await dialog.getByRole('button', { name: 'Store it' }).click();
    await dialog.getByText('"DataURL"').waitFor();
    findings.push(...(await ada.inspect(page, 'declaration-data')));
    const { rows } = await pool.query<{ content: Buffer }>('select content from fleet.declared_data');
    assert.deepEqual(rows[0]?.content, content);
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  await t.test('an update is planned from a list that was handed in, reaches the phone, and is ended', async () => {
    await page.goto(`${place.console}/updates`);
    const file = (text: string) => ({ name: 'pmv.json', mimeType: 'application/json', buffer: Buffer.from(text) });
    await page.getByLabel('Hand in a list of versions').setInputFiles(file('no list'));
    await page.getByText('The file is not JSON.').waitFor();
    const models = [...new Set(phones.map((phone) => phone.state.productName))];
    const feed = { PublicAssetSets: { iOS: [release('26.2', '23C10', models)], macOS: [] } };
    await page.getByLabel('Hand in a list of versions').setInputFiles(file(JSON.stringify(feed)));
    await page.getByText('1 version was read.').waitFor();
    await page.getByLabel('Name').fill('Autumn');
    await page.getByLabel('Devices', { exact: true }).selectOption({ label: 'Tablets' });
    await page.getByLabel('Deadline').fill('2027-01-31T12:00');
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.getByText('1 of 1 device would update to 26.2').waitFor();
    findings.push(...(await ada.inspect(page, 'update-plan')));
    await page.getByRole('button', { name: 'Plan it' }).click();
    await row(page, 'Autumn').getByText('1 behind').waitFor();
    assert.ok(await until(() => updateWanted(tablet)?.version === '26.2', 15_000));
    assert.equal(updateWanted(tablet)?.deadline, '2027-01-31T12:00:00');
    assert.equal(updateWanted(handset), undefined);
    await row(page, 'Autumn').getByRole('button', { name: 'End' }).click();
    await row(page, 'Autumn').getByText('ended').waitFor();
    assert.ok(
      await until(() => updateWanted(tablet) === undefined, 15_000),
      'the tablet is not made to update any more',
    );
  });

  await t.test('a declaration and a set that are removed leave the devices', async () => {
    await page.goto(`${place.console}/declarations`);
    await page.getByRole('button', { name: `Remove ${PASSCODE}` }).click();
    findings.push(...(await ada.inspect(page, 'declaration-remove')));
    await page.getByRole('button', { name: 'Remove it' }).click();
    assert.ok(await until(() => !has(handset, PASSCODE) && !has(tablet, PASSCODE), 15_000));
    await page.getByRole('button', { name: 'Remove Codes' }).click();
    await page.getByRole('button', { name: 'Remove set' }).click();
    await page.getByRole('button', { name: 'Remove Codes' }).waitFor({ state: 'detached' });
    const { rows } = await pool.query("select from fleet.declaration_set where name = 'Codes' and removed_at is null");
    assert.equal(rows.length, 0);
    await page.getByRole('button', { name: 'Change its scope' }).first().click();
    await page.getByRole('dialog').getByText('This set is ours').waitFor();
    findings.push(...(await ada.inspect(page, 'declaration-standard')));
  });

  allWell(fleet);
});
