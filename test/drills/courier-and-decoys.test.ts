import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { Hunter } from '#sim';
import { openPool } from '#store';
import { setGateways } from '../../src/run/cli-courier.ts';
import { askIntake } from '../../src/run/cli-decoys.ts';
import { drillD10 } from '../../src/run/drill/d10.ts';
import type { Scene } from '../../src/run/drill/scene.ts';
import { layBait } from '../../src/run/lay-bait.ts';
import { allOf, send } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { launch, Person, screenshotPlace } from '../flows/browser-person.ts';
import { withoutBrowser } from '../flows/browser-stage.ts';
import * as story from '../flows/browser-story.ts';
import { decoysOf } from '../flows/decoys.ts';
import { living } from '../flows/product.ts';
import { SmsPeer } from '../interop/courier-stage.ts';

const CASE = 'INC-20261125';

/** Tries what a thief finds in the bait; each must fail like any other, and be an alarm. */
async function tryBait({ product }: Scene): Promise<void> {
  const text = await layBait(product.home, 'hr_reports');
  const [, dsn, token] = [text, /^dsn=(.*)$/m.exec(text)![1]!, /(btz-scim-\S+)/.exec(text)![1]!];
  const pool = openPool(product.admin, { max: 1 });
  const alarms = async () => Number((await pool.query(`select from watch.alert where rule = 'bait-used'`)).rowCount);
  try {
    const base = Number(new URL(product.urls.console).port);
    const bearer = { authorization: `Bearer ${token}` };
    for (const [what, attempt] of [
      ['database', () => new pg.Client(dsn).connect()],
      [
        'scim',
        () =>
          fetch(`http://127.0.0.1:${base + 3}/scim/v2/Users`, { headers: bearer }).then(({ status }) =>
            Promise.reject(status),
          ),
      ],
      [
        'console',
        () =>
          send(product.urls.console, 'GET', '/api/people', undefined, 'bartizan_session=x', bearer).then(({ status }) =>
            Promise.reject(status),
          ),
      ],
    ] as const) {
      await pool.query('delete from watch.alert where rule = $1', ['bait-used']);
      await assert.rejects(
        attempt,
        (said: unknown) => (said instanceof Error ? /too many connections/.test(said.message) : said === 401),
        what,
      );
      assert.ok(await until(async () => (await alarms()) > 0, 8_000, 50), `${what}: nobody was told`);
    }
    await assert.rejects(layBait(product.home, 'bartizan_core'), /Name a login/);
  } finally {
    await pool.end();
  }
}

test('messages in the browser and through the whole product, courier killed as it sends; then bait, and D10', {
  skip: withoutBrowser,
}, async (t) => {
  const sms = new SmsPeer();
  const url = await sms.listen();
  t.after(() => sms.close());
  const { product, stage, home } = await living(t, {
    ...{ people: 8, phones: 1, admins: 3, founders: 4, caps: { perTouch: 5, perDay: 20 } },
  });
  const [ada] = stage.admins;
  const gateways = join(home, 'gateways-given.json');
  const body = { to: '{to}', text: '{text}' };
  const given = { sms: { url, body, idempotencyHeader: 'Idempotency-Key', timeoutSeconds: 2 } };
  writeFileSync(gateways, JSON.stringify(given));
  assert.deepEqual(setGateways(product.home, gateways), ['SMS']);
  const decoys = decoysOf(home);
  const people = (await allOf<{ handle: string }>(ada!, '/api/people')).map((one) => one.handle);
  const real = people.filter((one) => !decoys.has(one));

  // One person at a browser: a message to one, and a notice to all.
  const chrome = await launch();
  t.after(() => chrome.close());
  const place = { console: product.urls.console, glass: product.urls.glass };
  const founder = product.founders[3]!;
  const cleo = await Person.arrive(chrome, founder.admin, Object.values(place), screenshotPlace());
  await story.join(cleo, founder.link, { look: false });
  const { page } = await story.signIn(cleo, place, { look: false });
  page.setDefaultTimeout(20_000);
  const findings: string[] = [];
  await page.goto(`${place.console}/people?q=${real[0]}`);
  await page.getByRole('checkbox', { name: `Select ${real[0]}` }).click();
  await page.getByRole('link', { name: 'Message', exact: true }).click();
  await page.getByLabel('Case').fill(CASE);
  await page.getByText(`(case ${CASE})`).waitFor();
  findings.push(...(await cleo.inspect(page, 'message-compose')));
  const glass = await cleo.follow(page, 'Touch and send');
  await glass.getByRole('heading', { name: 'Send one SMS' }).waitFor();
  findings.push(...(await cleo.inspect(glass, 'glass-send')));
  await glass.getByRole('button', { name: 'Touch and send' }).click();
  await glass.getByRole('heading', { name: 'On its way' }).waitFor();
  await cleo.unplug(glass);
  await page.goto(`${place.console}/messages`);
  await page.getByText('taken by the gateway').waitFor();
  findings.push(...(await cleo.inspect(page, 'messages')));
  assert.equal(sms.delivered.size, 1);
  await page.getByRole('button', { name: 'Write a message' }).click();
  await page.getByLabel('Everybody in the directory').click();
  await page.getByLabel('What for').selectOption('breach-notice');
  await page.getByLabel('Case').fill(CASE);
  await page.getByLabel('Day').fill('2026-11-25');
  await page.getByLabel('Why').fill('everybody must know');
  await page.getByRole('button', { name: 'Ask two people to sign' }).click();
  const sign = await cleo.follow(page, 'Sign on glass');
  await sign.getByRole('heading', { name: `Write to ${people.length} people` }).waitFor();
  await sign.getByText('we learned of a security incident').waitFor();
  findings.push(...(await cleo.inspect(sign, 'glass-notice')));
  await page.setViewportSize({ width: 320, height: 640 });
  await cleo.shoot(page, 'message-notice-320');
  await sign.getByRole('button', { name: 'Touch and sign' }).click();
  await sign.getByText('It still waits for another person.').waitFor();
  assert.deepEqual([findings, cleo.troubles], [[], []]);

  // The gateway takes a message, and courier dies before it hears of it.
  let kills = 0;
  sms.onTaken = () => {
    const pid = product.pids()['courier'];
    if (kills >= 2 || pid === undefined) return;
    kills += 1;
    process.kill(pid, 'SIGKILL');
  };
  const asked = await ada!.call('GET', '/api/approvals');
  const [notice] = (asked.body['items'] as { id: string; op: string }[]).filter(({ op }) => op === 'notice');
  assert.equal((await ada!.approve(notice!.id)).status, 200);
  for (const to of real.slice(0, 2)) {
    const answer = await ada!.message(to, 'sms', 'lost-phone', { reference: CASE });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  const states = () => allOf<{ id: string; subject: string; state: string }>(ada!, '/api/messages');
  const done = async () => {
    const all = await states().catch(() => []);
    return all.length === 3 + people.length && all.every((one) => one.state === 'sent');
  };
  assert.ok(await until(done, 90_000, 200), JSON.stringify((await states()).map((one) => one.state)));
  t.diagnostic(`courier was killed ${kills} times; the gateway was asked ${sms.posts.length} times`);
  assert.equal(kills, 2);
  // No message lost, none sent twice, none to a decoy; and no row tells that.
  assert.equal(sms.delivered.size, 3 + real.length);
  const all = await states();
  for (const key of sms.delivered.keys()) assert.ok(!decoys.has(all.find((one) => one.id === key)!.subject));
  const after = (await ada!.call('GET', '/api/approvals')).body['items'] as { id: string; state: string }[];
  assert.equal(after.find((one) => one.id === notice!.id)?.state, 'executed');

  const scene: Scene = { product, stage, scratch: home, tell: () => {} };
  await t.test('bait', () => tryBait(scene));
  await t.test('the operator marks a canary', async () => {
    const marked = { handle: real[0], addresses: ['+447700900815'] };
    await askIntake(product.home, '/canaries/mark', JSON.stringify(marked));
    assert.ok(decoysOf(home).has(real[0]!));
    for (const wrong of ['{', '{}', JSON.stringify({ ...marked, addresses: ['me'] })])
      await assert.rejects(askIntake(product.home, '/canaries/mark', wrong), /did not take it/);
  });
  await t.test('D10: canaries that are read, listed and rung are alarms within two seconds', async () => {
    const { steps } = await drillD10(scene);
    assert.deepEqual(
      steps.filter((step) => !step.ok),
      [],
    );
    assert.ok(steps.length >= 14);
  });

  // Numbers are in the gateway's memory and nowhere in the home.
  const numbers = [...sms.delivered.values()].map((one) => String(one['to']));
  await product.stop();
  const hunter = new Hunter([...new Set(numbers)]);
  const places = ['logs', 'courier', 'ledger', 'glass', 'console', 'core'].map((one) => join(home, one));
  const { hits, unread, files } = await hunter.searchPaths(places);
  assert.deepEqual([hits, unread, files > 20], [[], [], true]);
});
