import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import type { Person } from './browser-person.ts';
import type { Place } from './browser-story.ts';

/** Somebody at a browser, signed in at the console. */
export interface Seated {
  readonly person: Person;
  readonly page: Page;
}

/** One asks, both sign; the guards open the search. */
async function open(one: Seated, other: Seated, place: Place, word: string, findings: string[]): Promise<void> {
  await one.page.goto(`${place.console}/people`);
  await one.page.getByRole('button', { name: `Open the search by ${word}` }).click();
  const dialog = one.page.getByRole('dialog');
  await dialog.getByLabel('Why?').fill('calls from people who do not say their handle');
  if (word === 'name') findings.push(...(await one.person.inspect(one.page, 'search-open')));
  await dialog.getByRole('button', { name: 'Ask two people' }).click();
  const link = (await dialog.getByRole('link', { name: 'Review and sign' }).getAttribute('href'))!;
  await dialog.getByRole('button', { name: 'Close' }).click();
  for (const { person } of [one, other]) {
    const glass = await person.open(link);
    await glass.getByRole('heading', { name: `Open the search by ${word === 'name' ? 'name' : 'number'}` }).waitFor();
    if (word === 'name' && person === one.person) findings.push(...(await person.inspect(glass, 'search-approve')));
    await glass.getByRole('button', { name: 'Touch and sign' }).click();
    await glass.getByText(/^Signed\./).waitFor();
    await person.unplug(glass);
  }
}

async function ask(glass: Page, query: string): Promise<void> {
  await glass.locator('#query').fill(query);
  await glass.getByRole('button', { name: 'Search', exact: true }).click();
  await glass.getByText('Left under this touch').waitFor();
}

/** Both searches are opened by two people, asked, and the search of names is closed again. Gives the handles of the name. */
export async function search(
  one: Seated,
  other: Seated,
  place: Place,
  known: { readonly name: string; readonly number: string; readonly numberOf: string },
): Promise<{ readonly found: readonly string[]; readonly findings: readonly string[] }> {
  const findings: string[] = [];
  const glass = await one.person.open(`${place.glass}/#search=name`);
  await glass.getByText('This search is closed.').waitFor();
  findings.push(...(await one.person.inspect(glass, 'search-closed')));
  await open(one, other, place, 'name', findings);
  await open(one, other, place, 'mobile number', findings);

  await glass.getByText(/^Open until .* names\.$/).waitFor({ timeout: 20_000 });
  await glass.getByLabel('Why do you search?').fill('the holder of a found phone');
  findings.push(...(await one.person.inspect(glass, 'search-touch')));
  await glass.getByRole('button', { name: 'Touch and search' }).click();
  await ask(glass, 'zzzzzz');
  await glass.getByText('Nobody has a name like that.').waitFor();
  await ask(glass, known.name.toUpperCase());
  await glass.getByRole('cell', { name: known.name }).first().waitFor();
  const found = await glass.locator('tbody th').allTextContents();
  findings.push(...(await one.person.inspect(glass, 'search-found')));
  await glass.getByRole('button', { name: 'Done' }).click();
  assert.equal(await glass.getByText(known.name).count(), 0, 'what was found goes with the touch');

  await glass.getByRole('link', { name: 'Search by mobile number instead' }).click();
  await glass.getByText(/^Open until .* UTC\.$/).waitFor({ timeout: 20_000 });
  await glass.getByLabel('Why do you search?').fill('a call from an unknown number');
  await glass.getByRole('button', { name: 'Touch and search' }).click();
  await ask(glass, known.number);
  await glass.getByRole('rowheader', { name: known.numberOf }).waitFor();
  findings.push(...(await one.person.inspect(glass, 'search-found-number')));
  await one.person.unplug(glass);

  const ending = await other.person.open(`${place.glass}/#search=name`);
  await ending.getByRole('button', { name: 'Close this search for everybody' }).click();
  findings.push(...(await other.person.inspect(ending, 'search-ending')));
  await ending.getByRole('button', { name: 'Touch and close' }).click();
  await ending.getByText('This search is closed.').waitFor();
  await other.person.unplug(ending);
  return { found, findings };
}
