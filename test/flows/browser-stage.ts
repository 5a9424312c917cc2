import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import type { Phone } from '#sim';
import { openPool, type Pool } from '#store';
import { type Stage, until } from '../../src/run/stage.ts';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { living } from './product.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
/** Why a browser test cannot run here, or false. */
export const withoutBrowser = existsSync(browser)
  ? (false as const)
  : 'no Chromium on this machine: install it, or name one in CHROMIUM';

export interface Desk {
  readonly person: Person;
  /** The console, signed in. */
  readonly page: Page;
}

export interface Fleet {
  readonly stage: Stage;
  readonly pool: Pool;
  readonly place: story.Place;
  readonly desks: readonly Desk[];
  /** Filled by `inspect`; must stay empty. */
  readonly findings: string[];
  readonly handleOf: (phone: Phone) => string;
}

/**
 * The product with phones, groups of them by how their product's name begins, and administrators who sit at browsers of
 * their own and have signed in.
 */
export async function fleetAtDesks(
  t: TestContext,
  options: { phones: number; desks: number; groups: Readonly<Record<string, string>>; supervised?: boolean },
): Promise<Fleet> {
  const founders = 2 + options.desks;
  const { product, stage } = await living(t, { people: 10, phones: options.phones, admins: 2, founders, pollMs: 400 });
  const pool = openPool(product.admin, { max: 2 });
  const chrome = await launch();
  t.after(async () => {
    await chrome.close();
    await pool.end();
  });
  if (options.supervised === true) for (const { state } of stage.fleet.phones) state.supervised = true;
  stage.fleet.start();
  const place = { console: product.urls.console, glass: product.urls.glass };
  const shots = screenshotPlace();
  const desks: Desk[] = [];
  for (const { admin, link } of product.founders.slice(2)) {
    const person = await Person.arrive(chrome, admin, Object.values(place), shots);
    await story.join(person, link, { look: false });
    const { page } = await story.signIn(person, place, { look: false });
    page.setDefaultTimeout(20_000);
    desks.push({ person, page });
  }
  let members = 0;
  for (const [name, value] of Object.entries(options.groups)) {
    const filter = { field: 'product', op: 'starts', value };
    const made = await stage.admins[0]!.call('POST', '/api/groups', { name, filter });
    assert.equal(made.status, 200, JSON.stringify(made.body));
    members += stage.fleet.phones.filter(({ state }) => state.productName.startsWith(value)).length;
  }
  const filled = async () => (await pool.query('select from fleet.group_member')).rowCount === members;
  assert.ok(await until(filled, 20_000), 'the groups are filled');
  const { rows } = await pool.query<{ handle: string; serial: string }>('select handle, serial from fleet.device');
  const handles = new Map(rows.map(({ handle, serial }) => [serial, handle]));
  return { stage, pool, place, desks, findings: [], handleOf: (phone) => handles.get(phone.state.serial)! };
}

/** Nothing was wrong on any page, and no browser complained. */
export function allWell({ findings, desks }: Fleet): void {
  assert.deepEqual(findings, []);
  assert.deepEqual(
    desks.flatMap(({ person }) => person.troubles),
    [],
  );
}
