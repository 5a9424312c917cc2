import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Declare } from '#seal';
import { areWhatIsSigned, leadsElsewhere } from '../../web/src/glass/signed-contents.ts';

// What glass shows is held against the hashes that a passkey signs: a server that shows something else is found out.
const hash = (...parts: (string | Buffer)[]) => {
  const all = createHash('sha256');
  for (const part of parts) all.update(part);
  return all.digest('base64url');
};
const edge = 'https://devices.example';
const data = (content: string, type = 'application/x-x509-ca-cert') => {
  const salt = randomBytes(32);
  const id = hash('bartizan data v1\n', salt, type, '\n', content);
  return {
    ...{ id, url: `${edge}/data/${id}`, type, salt: salt.toString('base64url') },
    content: Buffer.from(content).toString('base64url'),
  };
};
const bodyOf = (identifier: string, payload: object) =>
  JSON.stringify({ Identifier: identifier, Payload: payload, ServerToken: 'x', Type: 'com.apple.asset.data' });
function signed(...bodies: { identifier: string; body: string }[]): Declare {
  return {
    ...{
      v: 1,
      op: 'declare',
      id: '0',
      devices: 'everyone',
      until: 1,
      requester: 'ada',
      purpose: 'a test',
      notAfter: 1,
    },
    declarations: bodies.map(({ identifier, body }) => ({ identifier, token: 'x', body: hash(body) })),
  };
}

test('bodies and data that are what the hashes say are shown', async () => {
  const one = data('a certificate');
  const bodies = [
    { identifier: 'a', body: bodyOf('a', { Reference: { DataURL: one.url } }) },
    { identifier: 'b', body: bodyOf('b', { HostName: 'mail.example' }) },
  ];
  assert.ok(await areWhatIsSigned(signed(...bodies), bodies, [one]));
  assert.ok(await areWhatIsSigned(signed(...bodies), bodies, []), 'data need not be ours');
});

test('anything else is not: other bytes, another order, one too few, another name, other data', async () => {
  const one = data('a certificate');
  const a = { identifier: 'a', body: bodyOf('a', { Reference: { DataURL: one.url } }) };
  const b = { identifier: 'b', body: bodyOf('b', {}) };
  const document = signed(a, b);
  const fits = (bodies: (typeof a)[], all = [one]) => areWhatIsSigned(document, bodies, all);
  assert.equal(await fits([a, { ...b, body: `${b.body} ` }]), false);
  assert.equal(await fits([b, a]), false);
  assert.equal(await fits([a]), false);
  assert.equal(await fits([a, b, b]), false);
  const dressed = { identifier: 'c', body: bodyOf('a', {}) };
  assert.equal(await areWhatIsSigned(signed(dressed), [dressed], []), false);
  for (const other of [
    { ...one, content: Buffer.from('another').toString('base64url') },
    { ...one, type: 'text/plain' },
    { ...one, salt: randomBytes(32).toString('base64url') },
    { ...one, salt: '' },
    { ...one, id: data('else').id },
    { ...one, url: 'https://evil.example/' },
  ])
    assert.equal(await fits([a, b], [other]), false);
});

test('an address of which nothing is shown is pointed out, however it is written', () => {
  const one = data('a certificate');
  const leads = (payload: object) => leadsElsewhere(bodyOf('a', payload), [one]);
  assert.equal(leads({ Reference: { DataURL: one.url } }), false);
  assert.equal(leads({ HostName: 'mail.example' }), false);
  for (const url of [
    'https://evil.example/x',
    'HTTPS://EVIL.example/x',
    ` https://evil.example/data/${one.id}`,
    `https://evil.example/data/${one.id}`,
    `${one.url}?x`,
    'http://127.0.0.1/x',
  ])
    assert.equal(leads({ List: [{ ProfileURL: url }] }), true, url);
});
