import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '#base';
import { bodyDangers, declarationDangers } from './danger.ts';
import { type Declaration, declarationBody, TYPES } from './declaration.ts';
import { SUBSCRIBED } from './status-items.ts';

const of = (type: string, payload: Declaration['payload'] = {}): Declaration => ({ type, identifier: 'a.b', payload });
const C = 'com.apple.configuration.';

/** Every type that one person may declare, written down a second time: a new type is dangerous until somebody says otherwise. */
const HARMLESS = [
  'com.apple.activation.simple',
  ...['accessibility.settings', 'app.managed', 'app.settings', 'audio-accessory.settings'].map((name) => C + name),
  ...['diskmanagement.settings', 'intelligence.settings', 'management.status-subscriptions'].map((name) => C + name),
  ...['management.test', 'math.settings', 'passcode.settings', 'safari.extensions.settings'].map((name) => C + name),
  ...['safari.settings', 'siri.settings', 'softwareupdate.enforcement.specific'].map((name) => C + name),
  ...['softwareupdate.settings'].map((name) => C + name),
  ...['organization-info', 'properties', 'server-capabilities'].map((name) => `com.apple.management.${name}`),
];

test('every known type is dangerous, or is one that was said to be harmless', () => {
  const harmless = TYPES.filter((type) => !declarationDangers(of(type)).includes('dangerous'));
  assert.deepEqual(harmless, [...HARMLESS].sort());
});

test('profiles, anchors, accounts, tunnels, assets and apps by address are dangerous; what is unknown is unchecked', () => {
  for (const type of [
    ...[
      'legacy',
      'legacy.interactive',
      'security.certificate',
      'security.identity',
      'account.mail',
      'account.exchange',
    ],
    ...['network.dns-settings', 'network.vpn', 'webcontent-filter.plugin', 'watch.enrollment'],
  ])
    assert.ok(declarationDangers(of(C + type)).includes('dangerous'), type);
  for (const type of ['data', 'credential.certificate', 'credential.identity', 'useridentity'])
    assert.ok(declarationDangers(of(`com.apple.asset.${type}`)).includes('dangerous'), type);
  const app = (payload: Declaration['payload']) => declarationDangers(of(`${C}app.managed`, payload));
  assert.deepEqual(app({ ManifestURL: 'https://apps.example/m' }), ['dangerous']);
  assert.deepEqual(app({ AppStoreID: '1' }), []);
  assert.deepEqual(declarationDangers(of(`${C}no.such`)), ['unchecked']);
  assert.deepEqual(declarationDangers(of(`${C}passcode.settings`, { MinimumLength: 6 })), []);
  assert.deepEqual(declarationDangers(of(`${C}passcode.settings`, { MinimumLength: 6, Odd: 1 })), ['unchecked']);
  assert.deepEqual(declarationDangers(of(`${C}passcode.settings`, { MinimumLength: 'six' })), ['unchecked']);
  assert.deepEqual(declarationDangers(of('com.apple.elsewhere.thing')), ['unchecked']);
});

test('what core makes by itself needs nobody', () => {
  const items = SUBSCRIBED.map((name) => ({ Name: name }));
  for (const own of [
    of('com.apple.activation.simple', { StandardConfigurations: ['a'], Predicate: "(@status(a.b) == 'c')" }),
    of(`${C}management.status-subscriptions`, { StatusItems: items }),
    of(`${C}softwareupdate.enforcement.specific`, {
      ...{ TargetOSVersion: '26.1', TargetBuildVersion: '23B85', TargetLocalDateTime: '2099-01-01T18:00:00' },
    }),
  ])
    assert.deepEqual(bodyDangers(declarationBody(own)), [], own.type);
});

test('bytes are judged as a device would read them: anything that we had not written so is unchecked', () => {
  const harmless = declarationBody(of(`${C}passcode.settings`, { MinimumLength: 6 })).toString('utf8');
  const judged = (text: string) => bodyDangers(Buffer.from(text));
  assert.deepEqual(judged(harmless), []);
  for (const odd of [
    '',
    'null',
    '[]',
    '{}',
    '7',
    '{"Type":7,"Identifier":"a","Payload":{}}',
    '{"Type":"com.apple.configuration.passcode.settings","Identifier":"a.b","Payload":null}',
    ` ${harmless}`,
    harmless.replace('{', `{"Type":"${C}legacy",`),
    harmless.replace('"MinimumLength":6', '"MinimumLength":6,"MinimumLength":7'),
    harmless.replace('"MinimumLength":6', '"MinimumLength":6.0'),
    harmless.replace(/"ServerToken":"[^"]*"/, '"ServerToken":"x"'),
    `${harmless.slice(0, -1)},"More":1}`,
  ])
    assert.deepEqual(judged(odd), ['unchecked'], odd);
  assert.deepEqual(bodyDangers(Buffer.from([0xff, 0xfe])), ['unchecked']);
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  assert.deepEqual(judged(`{"Type":"${C}passcode.settings","Identifier":"a","Payload":{"a":${deep}}}`), ['unchecked']);
  assert.deepEqual(declarationDangers({ ...of(`${C}passcode.settings`), payload: null as unknown as { a: Json } }), [
    'unchecked',
  ]);
});
