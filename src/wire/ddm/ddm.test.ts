import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '#base';
import { WireError } from '../error.ts';
import { checkDeclaration, referencesOf } from './check.ts';
import { declarationBody, declarationsToken, type Item, KINDS, knownType, serverToken, TYPES } from './declaration.ts';
import { readKeys } from './keys.ts';
import { itemsAnswer, parseEndpoint, tokensAnswer } from './protocol.ts';
import { parseStatusReport } from './status.ts';
import { SUBSCRIBED } from './status-items.ts';

const declare = (type: string, payload: { [key: string]: Json }, identifier = 'example.one') => ({
  type: `com.apple.${type}`,
  identifier,
  payload,
});
const paths = (...given: Parameters<typeof checkDeclaration>) =>
  checkDeclaration(...given).problems.map(({ path }) => path);

test('every key table can be read, and each type is of a kind', () => {
  assert.ok(TYPES.length >= 40);
  for (const type of TYPES) assert.ok(knownType(type)!.keys.size > 0, type);
  assert.throws(() => readKeys('A bool\n  B'), SyntaxError);
});

test('a passcode policy: types, ranges, unknown keys, what Macs only have, and the version it needs', () => {
  const type = 'configuration.passcode.settings';
  assert.deepEqual(checkDeclaration(declare(type, { MinimumLength: 8, MinimumComplexCharacters: 1 })), {
    ...{ problems: [], unchecked: false, since: '16.2' },
  });
  assert.deepEqual(
    paths(
      declare(type, {
        MinimumLength: 17,
        RequirePasscode: 'yes',
        MaximumFailedAttempts: 2.5,
        Odd: 1,
        ChangeAtNextAuth: true,
      }),
    ),
    ['MinimumLength', 'RequirePasscode', 'MaximumFailedAttempts', 'Odd', 'ChangeAtNextAuth'],
  );
  const lax = checkDeclaration(declare(type, { Odd: 1, MinimumLength: 99 }), { unchecked: true });
  assert.deepEqual([lax.unchecked, lax.problems.map(({ path }) => path)], [true, ['MinimumLength']]);
});

test('nested keys, lists, required ones, any names', () => {
  assert.deepEqual(
    paths(declare('configuration.account.mail', { IncomingServer: { ServerType: 'X', HostName: 'a' } })),
    [...['IncomingServer.ServerType', 'IncomingServer.AuthenticationMethod', 'OutgoingServer']],
  );
  assert.deepEqual(
    paths(declare('configuration.safari.extensions.settings', { ManagedExtensions: { 'a.b (T)': { State: 'On' } } })),
    ['ManagedExtensions.a.b (T).State'],
  );
  assert.deepEqual(
    paths(declare('configuration.softwareupdate.settings', { Beta: { OfferPrograms: [{ Token: 't' }] } })),
    ['Beta.OfferPrograms.0.Description'],
  );
});

test('an enforced update needs a version, a build and a moment that exist in form', () => {
  const type = 'configuration.softwareupdate.enforcement.specific';
  const good = { TargetOSVersion: '26.1', TargetBuildVersion: '23B85', TargetLocalDateTime: '2026-12-01T18:00:00' };
  assert.deepEqual(paths(declare(type, good)), []);
  for (const [key, value] of [
    ['TargetOSVersion', '26'],
    ['TargetBuildVersion', 'x'],
    ['TargetLocalDateTime', '2026-12-01T18:00:00Z'],
    ['TargetLocalDateTime', '2026-13-01T18:00:00'],
    ['TargetLocalDateTime', '2026-02-30T18:00:00'],
    ['DetailsURL', 'http://example.org'],
  ] as const)
    assert.deepEqual(paths(declare(type, { ...good, [key]: value })), [key]);
});

test('an app is named in one way; assets and configurations that are needed are found', () => {
  assert.equal(paths(declare('configuration.app.managed', { AppStoreID: '1', BundleID: 'a.b' })).length, 1);
  const app = declare('configuration.app.managed', {
    BundleID: 'a.b',
    AppConfig: { DataAssetReference: 'asset.b', Passwords: [{ Identifier: 'p', AssetReference: 'asset.a' }] },
  });
  assert.deepEqual(referencesOf(app), ['asset.a', 'asset.b']);
  assert.deepEqual(referencesOf(declare('activation.simple', { StandardConfigurations: ['c.b', 'c.a'] })), [
    'c.a',
    'c.b',
  ]);
});

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
const payload = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), json, { maxKeys: 6 });
const reversed = (value: Json): Json =>
  typeof value !== 'object' || value === null
    ? value
    : Array.isArray(value)
      ? value.map(reversed)
      : Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, inner]) => [key, reversed(inner as Json)]),
        );

test('the same content has the same token in any order of keys, any other content another', () => {
  fc.assert(
    fc.property(payload, payload, (a, b) => {
      const token = (one: Json) => serverToken(declare('configuration.x', one as { [key: string]: Json }));
      assert.equal(token(reversed(a)), token(a));
      assert.equal(token(a) === token(b), serverTokenEqual(a, b));
      assert.notEqual(token(a), serverToken(declare('configuration.x', a, 'example.two')));
      assert.equal(JSON.parse(declarationBody(declare('configuration.x', a)).toString()).ServerToken, token(a));
    }),
  );
});
const serverTokenEqual = (a: Json, b: Json) =>
  declarationBody(declare('x', a as never)).equals(declarationBody(declare('x', b as never)));

const item: fc.Arbitrary<Item> = fc.record({
  kind: fc.constantFrom(...KINDS),
  identifier: fc.stringMatching(/^[a-z][a-z0-9.]{0,10}$/),
  token: fc.stringMatching(/^[a-z0-9]{1,8}$/),
});
const items = fc.uniqueArray(item, { selector: ({ kind, identifier }) => `${kind}/${identifier}`, maxLength: 12 });

test('whatever the order of edits, the same list has the same token; adding, changing, removing gives another', () => {
  fc.assert(
    fc.property(items, item, fc.integer(), (list, other, seed) => {
      const token = declarationsToken(list);
      const shuffled = [...list].sort(
        (a, b) => ((a.identifier.length * seed) % 7) - ((b.identifier.length * seed) % 7),
      );
      assert.equal(declarationsToken(shuffled.reverse()), token);
      if (list.length > 0) {
        assert.notEqual(declarationsToken(list.slice(1)), token);
        assert.notEqual(declarationsToken([{ ...list[0]!, token: `${list[0]!.token}x` }, ...list.slice(1)]), token);
      }
      if (!list.some(({ kind, identifier }) => kind === other.kind && identifier === other.identifier))
        assert.notEqual(declarationsToken([...list, other]), token);
    }),
  );
});

test('endpoints and answers are Apple’s', () => {
  assert.deepEqual(parseEndpoint('declaration/asset/a.b'), { ask: 'declaration', kind: 'asset', identifier: 'a.b' });
  for (const bad of ['', 'declaration/assets/a', 'declaration/asset/../a', 'declaration/asset/', 'Tokens', 'status/x'])
    assert.equal(parseEndpoint(bad), undefined, bad);
  assert.equal(
    tokensAnswer({ token: 't', at: 1_780_000_000 }).toString(),
    '{"SyncTokens":{"DeclarationsToken":"t","Timestamp":"2026-05-28T20:26:40Z"}}',
  );
  assert.deepEqual(
    JSON.parse(itemsAnswer({ token: 't', items: [{ kind: 'asset', identifier: 'a', token: 'x' }] }).toString()),
    {
      Declarations: {
        Activations: [],
        Assets: [{ Identifier: 'a', ServerToken: 'x' }],
        Configurations: [],
        Management: [],
      },
      DeclarationsToken: 't',
    },
  );
});

const report = (value: object) => parseStatusReport(Buffer.from(JSON.stringify(value)));

test('of a status report only what is listed is kept: no account, no name, no text of an error', () => {
  const parsed = report({
    StatusItems: {
      device: { 'operating-system': { version: '26.1' }, identifier: { 'serial-number': 'X' } },
      account: { list: { mail: { incoming: [{ identifier: '1', username: 'anna@example.org' }] } } },
      app: {
        managed: {
          list: [
            { identifier: 'a.b', name: 'Anna', state: 'managed' },
            { identifier: 'c.d', _removed: true },
          ],
        },
      },
      security: {
        certificate: { list: [{ identifier: 'x1', 'subject-summary': 'Anna', 'is-identity': true, data: 'AA==' }] },
      },
      softwareupdate: { 'failure-reason': { count: 1, reason: '+447700900123', timestamp: '2026-11-24T10:00:00Z' } },
      management: {
        declarations: {
          activations: [],
          assets: [],
          management: [],
          configurations: [
            {
              identifier: 'c',
              'server-token': 't',
              active: false,
              valid: 'invalid',
              reasons: [{ code: 'Error.X', description: 'Anna’s' }],
            },
          ],
        },
      },
    },
    Errors: [{ StatusItem: 'passcode.is-present', Reasons: [{ Code: 'Error.Y', Description: 'Anna' }] }],
    FullReport: true,
  });
  assert.doesNotMatch(JSON.stringify(parsed), /Anna|anna|7700|serial/);
  assert.deepEqual(parsed.values, {
    'device.operating-system.version': '26.1',
    'softwareupdate.failure-reason': { count: 1, timestamp: '2026-11-24T10:00:00Z' },
  });
  assert.deepEqual(parsed.lists['app.managed.list'], { set: { 'a.b': { state: 'managed' } }, removed: ['c.d'] });
  assert.deepEqual(parsed.declarations, [
    { kind: 'configuration', identifier: 'c', token: 't', active: false, valid: 'invalid', reasons: ['Error.X'] },
  ]);
  assert.deepEqual(parsed.errors, [{ item: 'passcode.is-present', codes: ['Error.Y'] }]);
  assert.equal(parsed.dropped, 2);
  assert.ok(!SUBSCRIBED.some((path) => path.startsWith('account.')), 'we do not even ask for accounts');
});

test('bytes that are no report throw our own error and nothing else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        json.map((one) => Buffer.from(JSON.stringify({ StatusItems: one, Errors: one }))),
      ),
      (bytes) => {
        try {
          parseStatusReport(bytes);
        } catch (error) {
          assert.ok(error instanceof WireError);
        }
      },
    ),
  );
});

test('members without a name, however deep, are counted and not followed for ever', () => {
  const deep = (levels: number) => Buffer.from(`{"StatusItems":${'{"":'.repeat(levels)}1${'}'.repeat(levels)}}`);
  assert.equal(parseStatusReport(deep(40_000)).dropped, 1);
});

test('what a device fetches by itself is named by its hash, or lies in our own store', () => {
  const stored = `https://edge.example/data/${'a'.repeat(43)}`;
  const asset = (reference: Parameters<typeof declare>[1]) => paths(declare('asset.data', { Reference: reference }));
  const HASH = 'Reference.Hash-SHA-256';
  assert.deepEqual(asset({ DataURL: stored }), []);
  assert.deepEqual(asset({ DataURL: 'https://files.example/a', 'Hash-SHA-256': 'a'.repeat(64) }), []);
  for (const url of [
    'https://files.example/a',
    `${stored}?x`,
    `${stored}a`,
    `https://files.example/x/data/${'a'.repeat(43)}`,
  ])
    assert.deepEqual(asset({ DataURL: url }), [HASH], url);
  assert.deepEqual(asset({ DataURL: stored, 'Hash-SHA-256': 'no hash' }), [HASH]);
  for (const type of ['legacy', 'legacy.interactive']) {
    const profile = (url: string) =>
      paths(
        declare(`configuration.${type}`, {
          ProfileURL: url,
          ...(type === 'legacy' ? {} : { VisibleName: 'x' }),
        }),
        {
          unchecked: true,
        },
      );
    assert.deepEqual(profile(stored), []);
    assert.deepEqual(profile('https://files.example/a'), ['ProfileURL'], 'not even unchecked');
  }
});
