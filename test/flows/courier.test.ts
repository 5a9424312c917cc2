import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Hunter } from '#sim';
import { setGateways } from '../../src/run/cli-courier.ts';
import { allOf } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { SmsPeer } from '../interop/courier-stage.ts';
import { decoysOf } from './decoys.ts';
import { living } from './product.ts';

test('messages through the whole product: by touch and by two, with courier killed at each that leaves', async (t) => {
  const sms = new SmsPeer();
  const url = await sms.listen();
  t.after(() => sms.close());
  const { product, stage, home } = await living(t, { people: 12, phones: 1, admins: 2 });
  const [ada, ben] = stage.admins;
  const gateways = join(home, 'gateways-given.json');
  const body = { to: '{to}', text: '{text}' };
  writeFileSync(
    gateways,
    JSON.stringify({ sms: { url, body, idempotencyHeader: 'Idempotency-Key', timeoutSeconds: 2 } }),
  );
  assert.deepEqual(setGateways(product.home, gateways), ['SMS']);
  const decoys = decoysOf(home);
  const people = (await allOf<{ handle: string }>(ada!, '/api/people')).map((one) => one.handle);
  const real = people.filter((one) => !decoys.has(one));

  // The gateway takes a message, and courier dies before it hears of it.
  let kills = 0;
  sms.onTaken = () => {
    const pid = product.pids()['courier'];
    if (kills >= 2 || pid === undefined) return;
    kills += 1;
    process.kill(pid, 'SIGKILL');
  };
  for (const to of real.slice(0, 3)) {
    const answer = await ada!.message(to, 'sms', 'lost-phone', { reference: 'INC-20261125' });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  const notice = await ada!.call('POST', '/api/messages/notices', {
    ...{ channel: 'sms', topic: 'breach-notice', variables: { date: '2026-11-25', reference: 'INC-20261125' } },
    ...{ people: 'everyone', purpose: 'everybody must know' },
  });
  assert.equal(notice.status, 200, JSON.stringify(notice.body));
  const [approval] = notice.body['approvals'] as string[];
  for (const signer of [ada, ben]) assert.equal((await signer!.approve(approval!)).status, 200);

  const states = async () =>
    (await allOf<{ id: string; subject: string; state: string; lane: string }>(ada!, '/api/messages')).map(
      (one) => one,
    );
  const done = async () => {
    const all = await states().catch(() => []);
    return all.length === 3 + people.length && all.every((one) => one.state === 'sent');
  };
  const ended = await until(done, 90_000, 300);
  assert.ok(ended, JSON.stringify((await states()).map((one) => one.state)));
  t.diagnostic(`courier was killed ${kills} times; the gateway was asked ${sms.posts.length} times`);
  assert.equal(kills, 2);
  // No message lost, none sent twice, none to a decoy; and no row tells that.
  assert.equal(sms.delivered.size, 3 + real.length);
  const all = await states();
  for (const key of sms.delivered.keys()) assert.ok(!decoys.has(all.find((one) => one.id === key)!.subject));
  const asked = await ada!.call('GET', '/api/approvals');
  const items = asked.body['items'] as { id: string; state: string; summary: string }[];
  assert.equal(items.find((one) => one.id === approval)?.state, 'executed');

  // Numbers are in the gateway's memory and nowhere in the home.
  const numbers = [...sms.delivered.values()].map((one) => String(one['to']));
  await product.stop();
  const hunter = new Hunter([...new Set(numbers)]);
  const places = ['logs', 'courier', 'ledger', 'pg'].map((place) => join(home, place));
  const { hits, unread, files } = await hunter.searchPaths(places);
  assert.deepEqual([hits, unread, files > 100], [[], [], true]);
});
