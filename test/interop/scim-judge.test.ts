import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ScimStage } from './scim-stage.ts';

interface Verdict {
  readonly title: string;
  readonly status: string;
  readonly type: string | null;
  readonly reason: string;
}

const PYTHON = join(import.meta.dirname, 'python');

/** A Python environment with the judge, made once for these exact versions. */
function judge(): string {
  const wanted = readFileSync(join(PYTHON, 'requirements.txt'));
  const name = `scim-judge-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`;
  const place = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', name);
  const python = join(place, 'bin', 'python');
  if (existsSync(join(place, 'ready'))) return python;
  rmSync(place, { recursive: true, force: true });
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  run('python3', '-m', 'venv', place);
  run(
    python,
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--disable-pip-version-check',
    '-r',
    join(PYTHON, 'requirements.txt'),
  );
  renameSync(join(place, 'pyvenv.cfg'), join(place, 'ready'));
  execFileSync('cp', [join(place, 'ready'), join(place, 'pyvenv.cfg')]);
  return python;
}

/** Its demands that somebody who only takes in cannot meet, each with how it says so: values are not read back, nobody is listed. */
const REFUSED: readonly [title: RegExp, reason: RegExp][] = [
  [/^object_query_without_id$/, /^Could not find .* in list response$/],
  [/^object_list_with_attributes$/, /could not find .* in filtered results$/],
  [/^object_query_with_attributes$/, /requested attribute '\w+' missing from/],
  [/^check_(add|replace)_attribute$/, /^Attribute '[^']+' was not (added|replaced) or has unexpected value/],
  [/^check_remove_attribute$/, /^PATCH modify\(\) did not remove attribute 'active'$/],
];

test('a foreign judge of SCIM servers finds fault with what a write-only server refuses, and with nothing else', async () => {
  const python = judge();
  const stage = await ScimStage.open();
  try {
    const { stdout } = await promisify(execFile)(python, [join(PYTHON, 'scim-judge.py'), stage.url, stage.token], {
      timeout: 120_000,
    });
    const verdicts = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Verdict);
    const faults = verdicts.filter(({ status }) => status !== 'SUCCESS' && status !== 'SKIPPED');
    const unexpected = faults.filter(
      ({ title, reason }) => !REFUSED.some(([what, why]) => what.test(title) && why.test(reason.split('\n')[0]!)),
    );
    assert.deepEqual(unexpected, []);
    const passed = new Set(
      verdicts.filter(({ status }) => status === 'SUCCESS').map(({ title, type }) => `${title} ${type}`),
    );
    for (const kind of ['User', 'Group']) {
      for (const what of ['object_creation', 'object_query', 'object_replacement', 'object_deletion']) {
        assert.ok(passed.has(`${what} ${kind}`), `${what} ${kind}: ${[...passed].join()}`);
      }
    }
    for (const what of [
      'service_provider_config_endpoint',
      'resource_types_endpoint_methods',
      'schemas_endpoint_methods',
    ]) {
      assert.ok(passed.has(`${what} null`), what);
    }
    assert.ok(passed.size >= 15, `${passed.size} kinds of demands are met`);
    assert.deepEqual(stage.said, []);
  } finally {
    await stage.close();
  }
});
