import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../src/run/stage.ts';
import { codesProfile } from './browser-profile.ts';
import { asThisBrowser } from './browser-request.ts';
import { allWell, fleetAtDesks, withoutBrowser } from './browser-stage.ts';

test('an administrator works with many devices, in a real browser', { skip: withoutBrowser }, async (t) => {
  const fleet = await fleetAtDesks(t, { phones: 6, desks: 1, groups: { All: 'i' } });
  const { stage, pool, place, findings, handleOf } = fleet;
  const { person: ada, page } = fleet.desks[0]!;
  const { phones } = stage.fleet;
  const [lost, left] = phones as [(typeof phones)[number], (typeof phones)[number]];

  await t.test('a profile is stored, compared, assigned and rolled out to the first ring', async () => {
    const store = async (least: number, button: string) => {
      await page.getByRole('button', { name: 'Add a profile' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Profile', { exact: true }).fill(codesProfile('org.example.codes', least));
      await dialog.getByRole('button', { name: 'See what it does' }).click();
      await dialog.getByText(button).first().waitFor();
      findings.push(...(await ada.inspect(page, `profile-${least}`)));
      await dialog.getByRole('button', { name: 'Store it' }).click();
      await dialog.waitFor({ state: 'detached' });
    };
    await page.goto(`${place.console}/profiles`);
    await store(6, 'storing it sends nothing');
    await page.getByRole('heading', { name: 'Versions' }).waitFor();
    await page.getByLabel('Group').selectOption({ label: 'All (6)' });
    await page.getByRole('button', { name: 'Assign' }).click();
    await page.getByRole('button', { name: 'Take away' }).waitFor();
    await page.goto(`${place.console}/profiles`);
    await store(10, 'What differs from version 1');
    await page.getByRole('heading', { level: 1, name: 'org.example.codes 10' }).waitFor();
    await page.getByRole('button', { name: 'Changes to 1' }).click();
    const keys = page.locator('tr', { hasText: 'minLength' });
    await keys.getByText('10', { exact: true }).waitFor();
    assert.deepEqual(await keys.locator('td').allTextContents(), ['6', '10']);
    await page.getByRole('button', { name: 'Roll out' }).first().click();
    await page.getByLabel('Why?').fill('longer codes for all');
    await page.getByRole('button', { name: 'Start with the first ring' }).click();
    const taken = () =>
      phones.filter(({ state }) => state.profiles.some(({ name }) => name === 'org.example.codes 10'));
    assert.ok(await until(() => taken().length === 5, 20_000), 'the first ring is five devices');
    await page.getByText('5 installed').waitFor();
    findings.push(...(await ada.inspect(page, 'profile-rollout')));
    for (const [button, state] of [
      ['Pause', 'paused'],
      ['Resume', 'running'],
      ['Give up', 'cancelled'],
    ] as const) {
      await page.getByRole('button', { name: button }).click();
      await page.locator('.chip', { hasText: state }).waitFor();
    }
    assert.equal(taken().length, 5, 'given up: the last device never gets it');
  });

  await t.test('an app is added, wanted on a group and taken away; then the group goes', async () => {
    await page.goto(`${place.console}/apps`);
    await page.getByRole('button', { name: 'Add an app' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name', { exact: true }).fill('Mail');
    await dialog.getByLabel('Bundle identifier').fill('org.example.mail');
    await dialog.getByLabel('Number in the store').fill('1234');
    await dialog.getByLabel('Configuration').fill('{');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('The configuration is not JSON.').waitFor();
    await dialog.getByLabel('Configuration').fill('{"server": "mail.example"}');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByLabel('Assign Mail to a group').selectOption({ label: 'All (6)' });
    const { rows: apps } = await pool.query('select configuration from fleet.app');
    assert.deepEqual(apps, [{ configuration: { server: 'mail.example' } }]);
    await page.getByRole('button', { name: 'Take away Mail from All' }).waitFor();
    findings.push(...(await ada.inspect(page, 'apps-assigned')));
    await page.getByRole('button', { name: 'Take away Mail from All' }).click();
    await page.getByText('Wanted nowhere yet').waitFor();
    const { rows: wanted } = await pool.query('select from fleet.app_assignment where removed_at is null');
    assert.equal(wanted.length, 0);
    await page.goto(`${place.console}/groups`);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete group' }).click();
    await page.getByText('No groups yet').waitFor();
  });

  await t.test('two devices that are selected leave together', async () => {
    await page.goto(`${place.console}/devices?state=enrolled`);
    for (const phone of [lost, left]) await page.getByLabel(`Select ${handleOf(phone)}`).check();
    await page.getByLabel('Selected devices').getByRole('button', { name: 'Retire' }).click();
    const dialog = page.getByRole('dialog', { name: 'Retire: 2 devices' });
    await dialog.getByLabel('Why?').fill('their holders have left');
    findings.push(...(await ada.inspect(page, 'devices-retire')));
    await dialog.getByRole('button', { name: 'Unenrol' }).click();
    await dialog.getByText('It goes on by itself.').waitFor();
    assert.ok(await until(() => !lost.enrolled && !left.enrolled, 20_000));
    assert.equal(phones.filter(({ enrolled }) => enrolled).length, 4);
  });

  await t.test('a lock is put on by one person, and lifted by none alone', async () => {
    await page.goto(`${place.console}/locks`);
    await page.getByRole('button', { name: 'Put a lock on' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Commands.').check();
    await dialog.getByLabel('Why?').fill('a rehearsal');
    findings.push(...(await ada.inspect(page, 'lock')));
    await dialog.getByRole('button', { name: 'Lock', exact: true }).click();
    await page.getByRole('heading', { level: 2, name: 'Commands' }).waitFor();
    await page.getByRole('button', { name: 'Ask to unlock' }).waitFor();
  });

  await t.test(
    'how often devices are asked for an attestation, and who gets sign-in tokens, is set on the page',
    async () => {
      await page.goto(`${place.console}/enrolment`);
      await page.getByLabel('How often devices are asked for a new attestation').selectOption('every 30 days');
      await page.getByLabel('Whose devices get tokens').selectOption('every managed device');
      const policy = async () => (await stage.admins[0]!.call('GET', '/api/identity-policy')).body;
      assert.ok(await until(async () => (await policy())['serviceTokens'] === 'all', 10_000));
      assert.equal((await policy())['reattestDays'], 30);
      findings.push(...(await ada.inspect(page, 'enrolment-attestation')));
    },
  );

  await t.test('an analyst is offered nothing that the server would refuse, and is refused', async () => {
    await pool.query("update api.session set role = 'analyst' where admin = $1", [ada.name]);
    const offers = /^(New|Add|Assign|Roll out|Put|Retire|Install|Erase|Lock|Delete|Change|Renew|Revoke|Remove|Make)/;
    const device = `/devices/${handleOf(phones[5]!)}`;
    const seen: Record<string, string[]> = {};
    for (const path of [
      '/groups',
      '/compliance',
      '/declarations',
      '/updates',
      '/profiles',
      '/apps',
      '/rollouts',
      device,
    ]) {
      await page.goto(place.console + path);
      await page.getByText('analyst', { exact: true }).waitFor();
      await page.getByText('Loading', { exact: true }).first().waitFor({ state: 'detached' });
      const buttons = await page.locator('main button:visible').allTextContents();
      seen[path] = buttons.filter((text) => offers.test(text.trim()));
    }
    assert.deepEqual(seen, Object.fromEntries(Object.keys(seen).map((path) => [path, []])));
    const refused = await asThisBrowser(page, 'POST', '/api/locks/0192f7a0-0000-7000-8000-000000000001/unlock', '{}');
    assert.equal(refused, 403);
  });

  await t.test('whoever signs out is out', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
    const { rows } = await pool.query('select from api.session where admin = $1 and ended_at is null', [ada.name]);
    assert.equal(rows.length, 0);
    await page.goto(`${place.console}/devices`);
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  });

  allWell(fleet);
});
