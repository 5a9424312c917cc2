import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StoryResult } from '../../src/run/story.ts';
import { freePorts, openDir } from '../flows/product.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const root = process.getuid?.() === 0;

/** `bartizan …`: exit status and lines of standard output. */
function bartizan(...args: string[]): Promise<{ status: number; lines: string[]; stderr: string }> {
  return new Promise((resolve) => {
    execFile(join(ROOT, 'bin', 'bartizan'), args, { cwd: ROOT, timeout: 300_000 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : Number(error.code ?? 1);
      resolve({ status, lines: stdout.trim().split('\n'), stderr });
    });
  });
}

test('demo --check keeps every promise and says so in one line of JSON', async () => {
  const dir = openDir('btz-demo-');
  try {
    const port = String(await freePorts());
    const { status, lines, stderr } = await bartizan(
      'demo',
      '--check',
      '--home',
      join(dir, 'home'),
      '--port-base',
      port,
    );
    const said = `${lines.join('\n')}\n${stderr}`;
    const result = JSON.parse(lines.at(-1)!) as StoryResult;
    const broken = lines.filter((line) => line.startsWith('BROKEN'));
    // Without root all processes share one user: the walls between them are down, and the check must say that it failed.
    if (root) assert.deepEqual(broken, [], said);
    assert.equal(status, broken.length === 0 ? 0 : 1, said);
    assert.ok(lines.length <= 12, 'at most twelve lines');
    assert.equal(result.devices_enrolled, 200);
    assert.equal(result.commands_acknowledged, 400);
    assert.ok(result.people_sealed >= 60);
    assert.ok(result.edge_attack.steps_tried >= 60);
    if (root) assert.equal(result.edge_attack.steps_that_read_something, 0);
    assert.equal(result.planted_values_found, 0);
    assert.ok(result.stolen_admin.records_read <= result.stolen_admin.cap);
    assert.ok(result.alert_ms !== null && result.alert_ms <= 10_000);
    assert.ok(result.contained_ms !== null && result.contained_ms <= 60_000);
    assert.ok(result.exposure.proven >= result.stolen_admin.records_read);
    assert.ok(result.exposure.upper_bound >= result.exposure.proven);
    assert.equal(result.exposure.upper_bound + result.exposure.unreadable, 60);
    // A thief who meets a decoy among his first reads is cut off before he can ask.
    assert.ok(
      result.wipes_requested === 200 || (result.wipes_requested === 0 && result.stolen_admin.records_read <= 4),
    );
    assert.equal(result.wipes_executed, 0);
    // 200 devices are one fan-out: some hundred entries instead of two a device and command.
    assert.ok(result.log.entries > 1_000);
    assert.ok(result.log.verified_by.length >= 1);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('drills are listed and run by id, for scripts', async () => {
  const listed = await bartizan('drill', 'list', '--json');
  assert.equal(listed.status, 0);
  assert.ok((JSON.parse(listed.lines.at(-1)!) as { id: string }[]).some(({ id }) => id === 'january'));
  const port = String(await freePorts());
  const ran = await bartizan(
    'drill',
    'run',
    'january',
    '--json',
    '--port-base',
    port,
    '--phones',
    '12',
    '--people',
    '40',
  );
  const result = JSON.parse(ran.lines.at(-1)!) as Record<string, unknown>;
  assert.equal(result['id'], 'january');
  if (root) assert.equal(result['passed'], true, JSON.stringify(result));
  assert.equal(ran.status, result['passed'] === true ? 0 : 1);
  for (const key of ['prevented', 'detected_ms', 'contained_ms', 'evidence']) assert.ok(key in result, key);
  assert.notEqual((await bartizan('drill', 'run', 'nothing')).status, 0);
});
