import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import type { Person } from './browser-person.ts';

/** What the story needs to know of a running product. Links: `glass/#join=…&admin=…`, one per founder. */
export interface Place {
  readonly console: string;
  readonly glass: string;
}

/** Opens a one-time link, makes a passkey and has it pinned by both guards. */
export async function join(person: Person, link: string, { look = true } = {}): Promise<string[]> {
  const page = await person.open(link);
  const button = page.getByRole('button', { name: 'Create my passkey' });
  await button.waitFor();
  const findings = look ? await person.inspect(page, 'glass-join') : [];
  await button.click();
  await page.getByRole('heading', { name: 'Your passkey is registered' }).waitFor();
  if (look) findings.push(...(await person.inspect(page, 'glass-joined')));
  await person.unplug(page);
  return findings;
}

/** Console → glass → touch → console. Returns the console's tab, signed in. */
export async function signIn(
  person: Person,
  place: Place,
  { look = true } = {},
): Promise<{ page: Page; findings: string[] }> {
  const page = await person.open(place.console);
  const button = page.getByRole('button', { name: 'Sign in with a passkey' });
  await button.waitFor();
  const findings = look ? await person.inspect(page, 'console-sign-in') : [];
  await button.click();
  await page.getByRole('button', { name: 'Use my passkey' }).waitFor();
  assert.equal(new URL(page.url()).origin, place.glass);
  if (look) findings.push(...(await person.inspect(page, 'glass-sign-in')));
  await page.getByRole('button', { name: 'Use my passkey' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  assert.equal(new URL(page.url()).hash, '', 'the signed document does not stay in the address');
  return { page, findings };
}

const JUMPS = [
  ['d', 'Devices'],
  ['r', 'Groups'],
  ['c', 'Compliance'],
  ['t', 'Retirements'],
  ['e', 'Enrolment'],
  ['f', 'Profiles'],
  ['n', 'Declarations'],
  ['v', 'Software updates'],
  ['b', 'Apps'],
  ['u', 'Rollouts'],
  ['q', 'Queue'],
  ['p', 'People'],
  ['a', 'Alerts'],
  ['i', 'Incidents'],
  ['s', 'Approvals'],
  ['l', 'Locks'],
  ['w', 'Push'],
  ['m', 'Roster'],
  ['k', 'Limits'],
  ['x', 'Break-glass'],
  ['h', 'Messages'],
  ['y', 'Keys'],
] as const;

const PATHS: Readonly<Record<string, string>> = { 'Software updates': '/updates' };

/** Every page by keyboard alone, in light and dark. */
export async function walk(person: Person, page: Page): Promise<string[]> {
  await page.getByRole('heading', { name: 'Transparency log' }).waitFor();
  const links = await page.getByRole('navigation').getByRole('link').count();
  assert.equal(links, JUMPS.length + 1, 'every page that a key reaches is in the navigation too');
  const findings = await person.inspect(page, 'overview');
  for (const [key, title] of JUMPS) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    await page.getByText('Loading', { exact: true }).first().waitFor({ state: 'detached' });
    findings.push(...(await person.inspect(page, title.toLowerCase())));
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  findings.push(...(await person.inspect(page, 'keyboard')));
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  return findings;
}

/** j, Enter: the first enrolled device, its facts and timeline. */
export async function openDevice(person: Person, page: Page, place: Place): Promise<string[]> {
  await page.goto(`${place.console}/devices?state=enrolled`);
  await page.locator('tbody tr').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Timeline' }).waitFor();
  return person.inspect(page, 'device');
}

/** Selects three people and reads a field of theirs on glass; returns what glass showed, by handle. Passes by `decoys`. */
export async function reveal(person: Person, page: Page, place: Place, decoys: ReadonlySet<string>) {
  await page.goto(`${place.console}/people`);
  const rows = page.locator('tbody tr');
  await rows.first().waitFor();
  for (let at = 0, chosen = 0; chosen < 3; at += 1) {
    const row = await rows.nth(at).textContent();
    await page.keyboard.press('j');
    if ([...decoys].some((handle) => row?.includes(handle))) continue;
    await page.keyboard.press('x');
    chosen += 1;
  }
  const glass = await person.follow(page, 'Reveal number');
  assert.equal(await glass.evaluate('window.opener'), null, 'glass cannot be reached from the console');
  await glass.getByRole('button', { name: 'Touch and reveal' }).click();
  await glass.getByText('Write at least 5 characters').waitFor();
  await glass.getByLabel('Why do you need').fill('calling about a lost phone');
  const findings = await person.inspect(glass, 'glass-reveal');
  await glass.getByRole('button', { name: 'Touch and reveal' }).click();
  await glass.getByText('Hidden again in').waitFor();
  findings.push(...(await person.inspect(glass, 'glass-shown')));
  const handles = await glass.locator('tbody th').allTextContents();
  const texts = await glass.locator('tbody td').allTextContents();
  assert.equal(
    await glass
      .evaluate('JSON.stringify([{...localStorage},{...sessionStorage}])')
      .then((kept) => texts.some((text) => String(kept).includes(text))),
    false,
  );
  await glass.getByRole('button', { name: 'Hide now' }).click();
  await glass.getByText('The values are hidden again').waitFor();
  for (const text of texts) assert.equal(await glass.getByText(text).count(), 0);
  await person.unplug(glass);
  return { values: new Map(handles.map((handle, i) => [handle, texts[i]!])), findings };
}

/** Asks to erase the first enrolled device; returns the approval's address on glass. */
export async function askErase(person: Person, page: Page, place: Place) {
  await page.goto(`${place.console}/devices?state=enrolled`);
  await page.locator('tbody tr').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByRole('button', { name: 'Erase' }).click();
  await page.getByLabel('Why?').fill('lost on a train, not found');
  await page.getByLabel('Type 1 to confirm').fill('1');
  const findings = await person.inspect(page, 'erase');
  await page.getByRole('button', { name: 'Ask for two signatures' }).click();
  await page.getByText('It waits for two people.').waitFor();
  findings.push(...(await person.inspect(page, 'erase-waits')));
  const link = await page.getByRole('link', { name: 'Review and sign' }).getAttribute('href');
  await page.getByRole('button', { name: 'Close' }).click();
  return { link: link!, findings };
}

/** Reads and signs the newest open approval, from the console's list. */
export async function sign(person: Person, page: Page, place: Place, shot: string): Promise<string[]> {
  await page.goto(`${place.console}/approvals`);
  await page.getByRole('link', { name: 'Review and sign' }).waitFor();
  const findings = await person.inspect(page, `${shot}-approvals`);
  const glass = await person.follow(page, 'Review and sign');
  await glass.getByRole('button', { name: 'Touch and sign' }).waitFor();
  findings.push(...(await person.inspect(glass, shot)));
  await glass.getByRole('button', { name: 'Touch and sign' }).click();
  await glass.getByText(/^Signed\./).waitFor();
  findings.push(...(await person.inspect(glass, `${shot}-signed`)));
  await person.unplug(glass);
  return findings;
}

/** Opens an incident by hand, confirms T0, makes the exposure report, writes a note. */
export async function incident(
  person: Person,
  page: Page,
  place: Place,
): Promise<{ proven: number; findings: string[] }> {
  await page.goto(`${place.console}/incidents`);
  await page.getByRole('button', { name: 'Open an incident' }).click();
  await page.getByLabel('Title').fill('Rehearsal of a stolen session');
  await page.getByRole('dialog').getByRole('button', { name: 'Open the incident' }).click();
  await page.getByRole('heading', { level: 1, name: 'Rehearsal of a stolen session' }).waitFor();
  await page.getByRole('button', { name: 'Confirm T0' }).click();
  await page.getByLabel('Why this moment?').fill('the analyst saw the alert');
  await page.getByRole('button', { name: 'Confirm', exact: true }).click();
  await page.getByText('Since T0').waitFor();
  await page.getByRole('button', { name: 'Make the exposure report' }).click();
  await page.getByText('proven: opened, as the log shows').waitFor();
  await page.getByLabel('New note').fill('Both admins were asked; nobody else had the key.');
  await page.getByRole('button', { name: 'Add the note' }).click();
  await page.locator('.notes li').waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download JSON' }).click();
  const report = JSON.parse(await readFile(await (await download).path(), 'utf8')) as { proven: readonly string[] };
  const entry = page.locator('summary', { hasText: /^Leaf/ }).first();
  if ((await entry.count()) > 0) await entry.click();
  const findings = await person.inspect(page, 'incident');
  const proven = Number(await page.locator('.exposure strong').first().textContent());
  assert.equal(report.proven.length, proven, 'the file says what the page says');
  return { proven, findings };
}

/** A return address that is not the configured console gets no touch. */
export async function refuseForeignConsole(person: Person, place: Place): Promise<string[]> {
  const asked = {
    v: 1,
    op: 'sign-in',
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    console: 'https://console.example',
    key: 'A'.repeat(43),
    notAfter: 0,
  };
  const packed = Buffer.from(JSON.stringify(asked)).toString('base64url');
  const page = await person.open(
    `${place.glass}/#sign-in=${packed}&return=${encodeURIComponent('https://console.example/')}`,
  );
  await page.getByRole('heading', { name: 'This sign-in was refused' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Use my passkey' }).count(), 0);
  const findings = await person.inspect(page, 'glass-refused');
  await person.unplug(page);
  return findings;
}

/** 320 px wide, as at 400 % zoom: nothing scrolls sideways but tables inside their own frame. */
export async function narrow(person: Person, page: Page, place: Place): Promise<void> {
  await page.setViewportSize({ width: 320, height: 640 });
  const paths = ['/', ...JUMPS.map(([, title]) => PATHS[title] ?? `/${title.toLowerCase()}`)];
  for (const path of paths) {
    await page.goto(place.console + path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    // Only what is there can be too wide.
    await page.waitForLoadState('networkidle');
    await page.getByText('Loading', { exact: true }).first().waitFor({ state: 'detached' });
    const wide =
      await page.evaluate(`[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > 320
      && !one.closest('.scroll, .hidden-visually')).slice(-3).map((one) => one.outerHTML.slice(0, 160))`);
    assert.equal(
      await page.evaluate('document.documentElement.scrollWidth'),
      320,
      `${path} fits 320 px: ${JSON.stringify(wide)}`,
    );
    await person.shoot(page, `narrow-${path.slice(1).replaceAll('/', '-') || 'overview'}`);
    const { y } = (await page.getByRole('heading', { level: 1 }).boundingBox())!;
    assert.ok(y < 120, `${path} begins with its content and not with the navigation (${y} px)`);
  }
  await page.goto(`${place.console}/devices`);
  await page.locator('tbody a').first().click();
  await page.getByRole('heading', { name: 'Timeline' }).waitFor();
  for (const summary of await page.locator('summary').all()) await summary.click();
  await person.shoot(page, 'narrow-device');
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, 'a device’s page fits 320 px');
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('navigation').getByRole('link', { name: 'Declarations' }).click();
  await page.getByRole('heading', { level: 1, name: 'Declarations' }).waitFor();
  assert.equal(await page.getByRole('navigation').count(), 0, 'a page that is chosen folds the navigation');
  await page.setViewportSize({ width: 1280, height: 800 });
}
