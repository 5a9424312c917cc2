import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Engine, loadRules, parseCases, RULES_DIR } from './index.ts';

const files = readdirSync(RULES_DIR).filter((name) => name.endsWith('.yml') && !name.endsWith('.test.yml'));

test('every rule file has cases beside it, and there are enough rules', () => {
  for (const file of files) assert.ok(existsSync(join(RULES_DIR, file.replace('.yml', '.test.yml'))), file);
  assert.ok(files.length >= 8);
  const ids = loadRules().map((rule) => rule.id);
  assert.equal(new Set(ids).size, ids.length);
});

for (const file of files) {
  const name = file.replace('.yml', '');
  const cases = parseCases(readFileSync(join(RULES_DIR, `${name}.test.yml`), 'utf8'));
  test(`${name}: at least two cases of each label, and each comes out as labelled`, () => {
    assert.ok(cases.filter((one) => one.fires).length >= 2 && cases.filter((one) => !one.fires).length >= 2);
    for (const one of cases) {
      const engine = new Engine(loadRules());
      const fired = one.events.flatMap(({ after = 0, ...fields }) =>
        engine
          .see(new Map(Object.entries({ severity: 1, source: 'test', ...fields })), 1_000_000 + after)
          .map((finding) => finding.rule.name),
      );
      assert.equal(fired.includes(name), one.fires, `${name}: ${one.name}`);
    }
  });
}
