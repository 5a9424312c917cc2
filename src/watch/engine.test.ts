import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileCondition, fits } from './condition.ts';
import { compileDetection } from './detection.ts';
import { Engine } from './engine.ts';
import { WatchError } from './error.ts';
import { compileRules } from './rule.ts';

const matches = (detection: Record<string, unknown>, event: Record<string, string | number | boolean>) =>
  compileDetection(detection)(new Map(Object.entries(event)));

test('conditions agree with a plain evaluation, whatever their shape', () => {
  const { expr } = fc.letrec<{ expr: { text: string; value: (v: Record<string, boolean>) => boolean } }>((tie) => ({
    expr: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom('a', 'b', 'c').map((name) => ({ text: name, value: (v: Record<string, boolean>) => v[name]! })),
      tie('expr').map((e) => ({ text: `not (${e.text})`, value: (v: Record<string, boolean>) => !e.value(v) })),
      fc.tuple(tie('expr'), tie('expr')).map(([l, r]) => ({
        text: `(${l.text}) and (${r.text})`,
        value: (v: Record<string, boolean>) => l.value(v) && r.value(v),
      })),
      fc.tuple(tie('expr'), tie('expr')).map(([l, r]) => ({
        text: `(${l.text}) or (${r.text})`,
        value: (v: Record<string, boolean>) => l.value(v) || r.value(v),
      })),
    ),
  }));
  fc.assert(
    fc.property(expr, fc.record({ a: fc.boolean(), b: fc.boolean(), c: fc.boolean() }), (e, v) => {
      assert.equal(
        compileCondition(e.text, ['a', 'b', 'c'])((name) => v[name as 'a']),
        e.value(v),
      );
    }),
  );
});

test('precedence is not, and, or; quantifiers take patterns', () => {
  const all = { a: true, b: false, c: true } as Record<string, boolean>;
  const decide = (text: string) => compileCondition(text, ['a', 'b', 'c'])((name) => all[name]!);
  assert.equal(decide('a or b and b'), true);
  assert.equal(decide('not b and a'), true);
  assert.equal(decide('1 of them'), true);
  assert.equal(decide('all of them'), false);
  assert.equal(decide('all of a*'), true);
  for (const bad of ['', 'a and', 'd', '(a', 'a b', '1 of x*', 'a) or b'])
    assert.throws(() => decide(bad), WatchError, bad);
});

test('wildcards agree with a regular expression', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 });
  fc.assert(
    fc.property(word, fc.array(word, { minLength: 1, maxLength: 4 }), (text, parts) => {
      assert.equal(fits(text, parts), new RegExp(`^${parts.join('.*')}$`, 's').test(text));
    }),
    { numRuns: 2000 },
  );
});

test('field modifiers', () => {
  const d = (search: unknown) => ({ selection: search, condition: 'selection' });
  assert.ok(matches(d({ kind: 'Directory.Revealed' }), { kind: 'directory.revealed' }));
  assert.ok(!matches(d({ 'kind|cased': 'Directory.Revealed' }), { kind: 'directory.revealed' }));
  assert.ok(matches(d({ 'kind|startswith': 'directory.' }), { kind: 'directory.x' }));
  assert.ok(matches(d({ 'kind|contains|all': ['dir', '.x'] }), { kind: 'directory.x' }));
  assert.ok(!matches(d({ 'kind|contains|all': ['dir', '.y'] }), { kind: 'directory.x' }));
  assert.ok(matches(d({ 'n|gte': 4 }), { n: 4 }) && !matches(d({ 'n|gt': 4 }), { n: 4 }));
  assert.ok(matches(d({ 'x|exists': false }), { n: 4 }) && matches(d({ x: null }), { n: 4 }));
  assert.ok(matches(d([{ a: 1 }, { b: 2 }]), { b: 2 }));
  assert.throws(() => matches(d({ 'a|base64': 'x' }), {}), WatchError);
});

test('a rule with an unknown section or correlation is refused by name', () => {
  assert.throws(
    () =>
      compileRules(
        'title: x\nid: y\nname: z\nlevel: high\ntimeframe: 5m\ndetection: {s: {a: 1}, condition: s}',
        'f.yml',
      ),
    /f\.yml.*timeframe/,
  );
});

test('windows slide with event time and a burst is one alert', () => {
  const rules = compileRules(
    'title: e\nid: a\nname: e\nlevel: low\ndetection: {s: {k: x}, condition: s}\n---\ntitle: c\nid: b\nname: c\nlevel: high\ncorrelation: {type: event_count, rules: [e], group-by: [g], timespan: 10s, condition: {gte: 3}}',
    'f.yml',
  );
  const engine = new Engine(rules);
  const see = (time: number, g = '1') => engine.see(new Map(Object.entries({ k: 'x', g })), time).length;
  assert.deepEqual([see(0), see(9_000), see(9_500, '2'), see(10_500)], [0, 0, 0, 0]);
  assert.equal(see(11_000), 1);
  assert.equal(see(11_100), 0);
  assert.deepEqual([see(40_000), see(40_001), see(40_002)], [0, 0, 1]);
});
