import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHome } from '../../src/run/home.ts';
import { processesOf } from '../../src/run/supervisor.ts';
import { systemdUnits } from '../../src/run/units.ts';

/** The most that systemd's own judge may say (0 nothing to attack, 10 all), in tenths, as it takes them. */
const THRESHOLDS: Readonly<Record<string, number>> = { sealer: 10, ledger: 10 };
const OTHERS = 20;
const BASE = 30;

test('systemd takes the units, and its own judge finds the guards closed', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'btz-units-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const home = openHome(join(dir, 'home'));
  const units = systemdUnits(home, { start: [] });
  assert.deepEqual(
    [...units.keys()],
    ['bartizan.service', ...processesOf(home).map((name) => `bartizan-${name}.service`)],
  );
  for (const [name, text] of units) writeFileSync(join(dir, name), text);
  const files = [...units.keys()].map((name) => join(dir, name));

  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], { encoding: 'utf8' });
  // It also reads the machine's own units; only what it says of ours is ours.
  const said = `${verified.stdout}${verified.stderr}`.split('\n').filter((line) => line.includes('bartizan'));
  assert.deepEqual(said, []);

  for (const name of units.keys()) {
    const process = /^bartizan-(.+)\.service$/.exec(name)?.[1];
    const threshold = process === undefined ? BASE : (THRESHOLDS[process] ?? OTHERS);
    const judged = spawnSync(
      'systemd-analyze',
      ['security', '--no-pager', '--offline=true', `--threshold=${threshold}`, join(dir, name)],
      { encoding: 'utf8' },
    );
    assert.equal(judged.status, 0, `${name}: ${judged.stdout.trim().split('\n').at(-1)}${judged.stderr}`);
  }
});

test('no unit shows a process the state of another, and the guards have no network', () => {
  const home = openHome('/srv/bartizan');
  const units = systemdUnits(home, { start: [] });
  const of = (name: string) => units.get(`bartizan-${name}.service`) ?? '';
  for (const name of processesOf(home)) {
    const hidden = /^InaccessiblePaths=(.*)$/m.exec(of(name))?.[1]?.split(' ') ?? [];
    const expected = processesOf(home).filter((one) => one !== name && (one !== 'ledger' || name === 'sealer'));
    for (const one of expected)
      assert.ok(hidden.includes(`-${home.state(one)}`), `${name} could look for ${one}’s files`);
    assert.match(of(name), /^CapabilityBoundingSet=$/m);
  }
  for (const guard of ['sealer', 'ledger']) {
    assert.match(of(guard), /^PrivateNetwork=yes$/m);
    assert.match(of(guard), /^RestrictAddressFamilies=AF_UNIX$/m);
  }
  assert.match(of('sealer'), / --expose-gc /);
});
