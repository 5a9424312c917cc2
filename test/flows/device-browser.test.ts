import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import type { Phone } from '#sim';
import { until } from '../../src/run/stage.ts';
import { codesProfile } from './browser-profile.ts';
import { allWell, fleetAtDesks, withoutBrowser } from './browser-stage.ts';

/** Opens the form of an action on a device's page. */
async function ask(page: Page, group: string, action: string): Promise<Locator> {
  const actions = page.locator('section', { has: page.getByRole('heading', { name: /^Actions/ }) });
  const part = actions.locator('details', { has: page.locator('summary', { hasText: new RegExp(`^${group} `) }) });
  if ((await part.getAttribute('open')) === null) await part.locator('summary').click();
  await part.getByRole('button', { name: action, exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  return dialog;
}

/** Says why, sends, and closes what the form answers. */
async function send(dialog: Locator, button: string): Promise<void> {
  await dialog.getByLabel('Why?').fill('a walk through the console');
  await dialog.getByRole('button', { name: button, exact: true }).click();
  await dialog.getByText('It runs.').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
}

test('an administrator works with one device, in a real browser', { skip: withoutBrowser }, async (t) => {
  const fleet = await fleetAtDesks(t, { phones: 5, desks: 1, groups: { Tablets: 'iPad' }, supervised: true });
  const { stage, pool, place, findings, handleOf } = fleet;
  const { person: ada, page } = fleet.desks[0]!;
  const { phones } = stage.fleet;
  const tablet = phones.find(({ state }) => state.productName.startsWith('iPad'))!;
  const [handset, lost] = phones.filter((phone) => phone !== tablet) as [Phone, Phone];
  const go = async (phone: Phone) => {
    await page.goto(`${place.console}/devices/${handleOf(phone)}`);
    await page.getByRole('heading', { name: 'Timeline' }).waitFor();
  };

  await t.test(
    'settings, an update and an app with its configuration reach the phone as they were filled in',
    async () => {
      await go(handset);
      await page.getByRole('button', { name: 'Refresh inventory' }).click();
      await send(page.getByRole('dialog'), 'Refresh inventory');
      await page.locator('dt', { hasText: 'Supervised' }).locator('+ dd', { hasText: 'yes' }).first().waitFor();
      const settings = await ask(page, 'Change', 'Change settings');
      await settings.getByLabel('Why?').fill('a walk through the console');
      await settings.getByRole('button', { name: 'Change settings' }).click();
      await settings.getByText('Choose at least one.').waitFor();
      await settings.getByLabel('Data roaming').selectOption('Off');
      await settings.getByLabel('Bluetooth').selectOption('On');
      await settings.getByLabel('Time zone').fill('Europe/Brussels');
      findings.push(...(await ada.inspect(page, 'device-settings')));
      await send(settings, 'Change settings');
      const update = await ask(page, 'Change', 'Update its system');
      await update.getByLabel('Version').fill('19.1');
      await update.getByLabel('How').selectOption('Install as soon as it is loaded');
      await send(update, 'Update its system');
      const app = await ask(page, 'Change', 'Install an app');
      await app.getByLabel('App').fill('org.example.mail');
      await app.getByLabel('Configuration').fill('{"server": ');
      await app.getByLabel('Why?').fill('a walk through the console');
      await app.getByRole('button', { name: 'Install an app' }).click();
      await app.getByText('The configuration is not JSON.').waitFor();
      await app.getByLabel('Configuration').fill('{"server": "mail.example", "days": 14}');
      await send(app, 'Install an app');
      const mail = () => handset.state.extras?.apps.find(({ identifier }) => identifier === 'org.example.mail');
      assert.ok(await until(() => mail() !== undefined, 15_000));
      assert.deepEqual(mail()?.configuration, { server: 'mail.example', days: 14 });
      assert.deepEqual(handset.state.extras?.settings, {
        ...{ DataRoaming: { Enabled: false }, Bluetooth: { Enabled: true }, TimeZone: { TimeZone: 'Europe/Brussels' } },
      });
      assert.deepEqual(handset.state.extras?.update, { version: '19.1', action: 'InstallASAP' });
    },
  );

  await t.test('a user’s channel is chosen on the page, and the command goes there alone', async () => {
    const user = { id: randomUUID().toUpperCase() };
    await handset.updateUserToken(user);
    await go(handset);
    const list = await ask(page, 'Ask', 'Profiles');
    await list.getByLabel('For').selectOption({ index: 1 });
    findings.push(...(await ada.inspect(page, 'device-channel')));
    await send(list, 'Profiles');
    await page.getByText('for the user of channel').first().waitFor();
    assert.equal(await handset.pollUser(user), 1);
    const { rows: done } = await pool.query<{ state: string }>(
      "select state from fleet.command where channel_id is not null and request_type = 'ProfileList'",
    );
    assert.deepEqual(done, [{ state: 'acknowledged' }]);
    const { rows: channels } = await pool.query<{ id: string }>('select id from fleet.channel');
    const other = await stage.admins[0]!.call('POST', '/api/intents', {
      ...{ verb: 'ProfileList', devices: [handleOf(tablet)], purpose: 'a channel of another device' },
      params: { channel: Number(channels[0]!.id) },
    });
    assert.deepEqual([other.status, other.body['code']], [409, 'no-channel']);
  });

  await t.test('what waits for its window waits, and an emergency does not', async () => {
    await page.goto(`${place.console}/rollouts`);
    await page.getByRole('button', { name: 'Add a window' }).click();
    const window = page.getByRole('dialog');
    await window.getByLabel('Group').selectOption({ label: 'Tablets (1)' });
    const ticked = window.getByRole('checkbox', { checked: true });
    while ((await ticked.count()) > 0) await ticked.first().uncheck();
    // three days from now, wherever the clock stands
    await window
      .getByRole('checkbox')
      .nth((new Date().getUTCDay() + 6 + 3) % 7)
      .check();
    await window.getByLabel('Time zone').fill('UTC');
    findings.push(...(await ada.inspect(page, 'window')));
    await window.getByRole('button', { name: 'Add the window' }).click();
    await page.getByRole('button', { name: 'Remove the window of Tablets' }).waitFor();
    await go(tablet);
    const calm = await ask(page, 'Change', 'Install a profile');
    await calm.getByLabel('Profile').fill(codesProfile('org.example.calm', 6));
    await send(calm, 'Install a profile');
    const urgent = await ask(page, 'Change', 'Install a profile');
    await urgent.getByLabel('Profile').fill(codesProfile('org.example.urgent', 8));
    await urgent.getByLabel('Emergency: do not wait').check();
    await urgent.getByLabel('Why can it not wait?').fill('a hole that is used now');
    findings.push(...(await ada.inspect(page, 'device-emergency')));
    await send(urgent, 'Install a profile');
    const has = (identifier: string) => tablet.state.profiles.some((one) => one.identifier === identifier);
    assert.ok(await until(() => has('org.example.urgent'), 15_000));
    assert.equal(has('org.example.calm'), false);
    await page.goto(`${place.console}/queue`);
    await page.getByText('Waits for a maintenance window').waitFor();
    findings.push(...(await ada.inspect(page, 'queue-window')));
    await page.goto(`${place.console}/rollouts`);
    await page.getByRole('button', { name: 'Remove the window of Tablets' }).click();
    assert.ok(await until(() => has('org.example.calm'), 15_000), 'without a window it goes');
  });

  await t.test('a lost device that was found again is not locked any more', async () => {
    lost.behaviour.offline = true;
    await go(lost);
    const lock = await ask(page, 'Lock and lost', 'Lock the screen');
    await send(lock, 'Lock the screen');
    const queued = () => pool.query("select from fleet.command where request_type = 'DeviceLock'");
    assert.ok(await until(async () => (await queued()).rowCount === 1, 10_000), 'it waits for the phone');
    await page.getByRole('button', { name: 'The device was recovered' }).click();
    await page.getByRole('button', { name: 'Take it back' }).click();
    await page.getByText('1 taken back.').waitFor();
    const { rows: states } = await pool.query<{ state: string }>(
      "select state from fleet.command where request_type = 'DeviceLock'",
    );
    assert.deepEqual(states, [{ state: 'cancelled' }]);
    lost.behaviour.offline = false;
    await lost.poll();
    assert.equal(lost.state.lockedTimes, 0);
  });

  await t.test('a revoked certificate cuts a device off', async () => {
    await go(tablet);
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Somebody else may have its key').check();
    findings.push(...(await ada.inspect(page, 'device-revoke')));
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('revoked: keyCompromise').waitFor();
    await assert.rejects(tablet.poll(), 'the device plane does not take its certificate any more');
  });

  allWell(fleet);
});
