import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { toBase64url } from '#base';
import { canaryTag, openCall, type PublicKeys, x25519Raw } from '#seal';
import type { Pool } from '#store';
import { checkInbound, takeInbound } from './inbound.ts';

const SECRET = 'a secret of the provider';
const NOW = 1_795_000_000_000;
const ledger = generateKeyPairSync('x25519').privateKey;
const keys = { org: 'org-test', outer: toBase64url(x25519Raw(ledger)) } as unknown as PublicKeys;

/** Takes one message; returns the status and what went to the database. */
async function take(text: string, headers: Record<string, string>, settings: object = {}) {
  const told: unknown[][] = [];
  const pool = {
    query: async (_: string, values: unknown[]) => {
      told.push(values);
      return { rows: [] };
    },
  } as unknown as Pool;
  const answer = await takeInbound({ pool, keys, clock: () => NOW }, checkInbound({ secret: SECRET, ...settings }), {
    body: Buffer.from(text),
    header: (name) => headers[name],
  });
  return { status: answer.status, told };
}

const sign = (text: string, time: string, as: 'hex' | 'base64' = 'hex', secret = SECRET) =>
  createHmac('sha256', secret).update(`${time}.${text}`).digest(as);
const time = String(NOW / 1000);
const headersOf = (text: string, when = time) => ({ 'x-timestamp': when, 'x-signature': sign(text, when) });

test('a signed call goes on as a tag that the ledger alone opens, whatever its spelling', async () => {
  for (const to of ['+44 7700 900811', '+447700900811', '00447700900811', 'tel:+44-7700-900811']) {
    const text = JSON.stringify({ to, from: '+447700900990', text: 'hello' });
    const { status, told } = await take(text, headersOf(text));
    assert.equal(status, 204, to);
    const [[, how, box]] = told as [[Buffer, string, Buffer]];
    assert.equal(how, 'sms');
    assert.equal(openCall(ledger, toBase64url(box)), canaryTag('org-test', '+447700900811'));
    assert.ok(!JSON.stringify(told).includes('7700900'));
  }
  const nested = JSON.stringify({ data: { rcpt: 'Jo@Example.org', type: 'x' } });
  const settings = { to: 'data.rcpt', signatureHeader: 'X-Sign', timestampHeader: 'X-Time' };
  const { status, told } = await take(
    nested,
    { 'x-time': time, 'x-sign': `sha256=${sign(nested, time, 'base64')}` },
    settings,
  );
  assert.equal(status, 204);
  assert.equal(openCall(ledger, toBase64url(told[0]![2] as Buffer)), canaryTag('org-test', 'jo@example.org'));
});

test('what is not signed, signed by another, signed long ago, or changed is refused and told to nobody', async () => {
  const text = JSON.stringify({ to: '+447700900811' });
  const old = String(NOW / 1000 - 301);
  for (const [what, body, headers] of [
    ['nothing', text, {}],
    ['no time', text, { 'x-signature': sign(text, '') }],
    ['another secret', text, { 'x-timestamp': time, 'x-signature': sign(text, time, 'hex', 'another secret') }],
    ['old', text, headersOf(text, old)],
    ['an old one with a new time', text, { ...headersOf(text, old), 'x-timestamp': time }],
    ['from the future', text, headersOf(text, String(NOW / 1000 + 301))],
    ['changed', text.replace('811', '812'), headersOf(text)],
    ['no JSON', 'to', headersOf('to')],
    ['no address', '{"to":"me"}', headersOf('{"to":"me"}')],
    ['a prototype', '{"__proto__":{"to":"+447700900811"}}', headersOf('{"__proto__":{"to":"+447700900811"}}')],
  ] as const) {
    const { status, told } = await take(body, headers);
    assert.deepEqual([status, told], [400, []], what);
  }
});

test('settings that are not understood are refused without repeating them', () => {
  for (const value of [
    [],
    {},
    { secret: 'short' },
    { secret: SECRET, hidden: 1 },
    { secret: SECRET, to: 'a b' },
    { secret: SECRET, signatureHeader: 'x y' },
  ]) {
    assert.throws(
      () => checkInbound(value),
      (error: Error) => !error.message.includes(SECRET),
    );
  }
});
