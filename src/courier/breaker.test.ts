import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Breaker } from './breaker.ts';

const down = { end: 'again', reason: 'gateway-503' } as const;

test('a gateway that is down is tried by one message at a time, ever more seldom; the other is not held up', () => {
  let now = 1_000_000;
  const breaker = new Breaker(() => now);
  const both = ['sms', 'email'] as const;
  for (let n = 0; n < 4; n += 1) breaker.saw('sms', down);
  assert.deepEqual([breaker.open(both), breaker.most(both, 25)], [['sms', 'email'], 25]);
  breaker.saw('sms', down);
  assert.deepEqual(breaker.open(both), ['email']);
  assert.equal(breaker.most(['email'], 25), 25);
  let pauses = 0;
  for (let n = 0; n < 12; n += 1) {
    const before = now;
    while (breaker.open(['sms']).length === 0) now += 1_000;
    assert.equal(breaker.most(['sms'], 25), 1);
    assert.ok(now - before >= pauses && now - before <= 300_000);
    pauses = now - before;
    breaker.saw('sms', down);
  }
  now += 300_000;
  breaker.saw('sms', { end: 'sent' });
  assert.deepEqual([breaker.open(both), breaker.most(both, 25)], [['sms', 'email'], 25]);
});

test('what is wrong with one message says nothing of the gateway', () => {
  const breaker = new Breaker(() => 0);
  for (const outcome of [
    { end: 'failed', reason: 'gateway-400' },
    { end: 'again', reason: 'smtp-451' },
    { end: 'uncertain', reason: 'no-answer' },
  ] as const)
    for (let n = 0; n < 20; n += 1) breaker.saw('email', outcome);
  assert.deepEqual(breaker.open(['email']), ['email']);
});
