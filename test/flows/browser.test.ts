import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Hunter } from '#sim';
import { buildPages } from '../../src/run/pages.ts';
import { playApns, setStage } from '../../src/run/stage.ts';
import { startProduct } from '../../src/run/supervisor.ts';
import { alarms } from './alarms-story.ts';
import { launch, Person, screenshotPlace } from './browser-person.ts';
import * as story from './browser-story.ts';
import { decoysOf } from './decoys.ts';
import { exportAll } from './export-story.ts';
import { freePorts } from './product.ts';
import { search as searching } from './search-story.ts';

const browser = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const without = existsSync(browser) ? false : 'no Chromium on this machine: install it, or name one in CHROMIUM';

test('two people do their work in a real browser: no CSP violation, no axe finding', { skip: without }, async (t) => {
  await buildPages();
  const home = mkdtempSync(join(tmpdir(), 'btz-web-'));
  chmodSync(home, 0o711);
  const caps = { perTouch: 5, perDay: 20 };
  const apns = await playApns();
  const { push } = apns;
  const search = { name: { hours: 12 }, number: { hours: 12 } };
  const portBase = await freePorts();
  const product = await startProduct({ home, founders: 4, caps, push, search, demo: true, portBase });
  const stage = await setStage(product, { people: 12, phones: 6, admins: 2, pollMs: 1_000, push: apns.service });
  stage.fleet.start();
  const chrome = await launch();
  t.after(async () => {
    await chrome.close();
    await stage.close();
    await product.stop();
    await apns.service.close();
    rmSync(home, { recursive: true, force: true });
  });
  const place = { console: product.urls.console, glass: product.urls.glass };
  const shots = screenshotPlace();
  const [one, two] = product.founders.slice(2);
  const ada = await Person.arrive(chrome, one!.admin, Object.values(place), shots);
  const bo = await Person.arrive(chrome, two!.admin, Object.values(place), shots);
  const findings = [...(await story.join(ada, one!.link)), ...(await story.join(bo, two!.link))];

  findings.push(...(await story.refuseForeignConsole(ada, place)));
  const first = await story.signIn(ada, place);
  const second = await story.signIn(bo, place);
  findings.push(...first.findings, ...second.findings);
  findings.push(...(await story.walk(ada, first.page)));
  findings.push(...(await story.openDevice(ada, first.page, place)));

  const read = await story.reveal(ada, first.page, place, decoysOf(home));
  findings.push(...read.findings);
  assert.equal(read.values.size, 3);
  for (const value of read.values.values())
    assert.ok(stage.planted.includes(value), 'glass showed a value of the import');

  const [numberOf, number] = [...read.values][0]!;
  const name = stage.planted.find((value) => /^\p{L}+ \p{L}+$/u.test(value))!;
  const seats = [
    { person: ada, page: first.page },
    { person: bo, page: second.page },
  ] as const;
  const searched = await searching(seats[0], seats[1], place, { name, number, numberOf });
  findings.push(...searched.findings);

  const exported = await exportAll(seats[0], seats[1], place);
  findings.push(...exported.findings);
  assert.ok(exported.text.includes(number) && exported.text.includes(name.split(' ')[1]!));

  const erase = await story.askErase(ada, first.page, place);
  findings.push(...erase.findings);
  findings.push(...(await story.sign(ada, first.page, place, 'glass-approve')));
  findings.push(...(await story.sign(bo, second.page, place, 'glass-approve-second')));
  await first.page.goto(`${place.console}/approvals?state=executed`);
  await first.page.locator('.approval').first().waitFor();

  const { proven, findings: seen } = await story.incident(bo, second.page, place);
  findings.push(...seen);
  // Everybody: each has been exported.
  const readers = new Set([...read.values.keys(), ...searched.found, ...exported.handles]);
  for (const decoy of decoysOf(home)) readers.delete(decoy);
  assert.equal(proven, readers.size, 'exactly those who were read on glass');
  await story.narrow(bo, second.page, place);
  const { told, findings: heard } = await alarms(seats[1], place, product.urls.edge, home);
  findings.push(...heard);
  assert.deepEqual(
    new Hunter(stage.planted).search(Buffer.from(told.join('\n'))),
    [],
    'no name in an alert that leaves',
  );

  assert.deepEqual(findings, []);
  const addresses = [...ada.addresses, ...bo.addresses];
  assert.ok(addresses.length > 50);
  assert.deepEqual(new Hunter(stage.planted).search(Buffer.from(addresses.join('\n'))), [], 'no name in an address');
  assert.deepEqual([...ada.troubles, ...bo.troubles], []);
});
