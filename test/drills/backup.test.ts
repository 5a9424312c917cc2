import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ageIdentity, recoveryIdentity } from '#seal';
import { withBackupDoors } from '../../src/run/backup/doors.ts';
import { runBackups } from '../../src/run/backup/run.ts';
import { changeSettings } from '../../src/run/backup/settings.ts';
import { d13 } from '../../src/run/drill/d13.ts';
import { freePorts } from '../flows/product.ts';
import { backedUp } from './backup-stage.ts';
import { refusals, rehearsal, restored } from './restore-story.ts';

const stage = await backedUp();
after(() => stage.close());
const { product, place, root, seed } = stage;
const filesAt = (set: string) => readdirSync(place(set)).filter((name) => name.endsWith('.age'));

test('three sets are written beside the running product, each for its own recipient; tar and age open them', async () => {
  const results = await stage.run();
  assert.deepEqual(
    results.map(({ set, ok, message }) => [set, ok, message]),
    [
      ['database', true, undefined],
      ['ledger', true, undefined],
      ['sealer', true, undefined],
    ],
  );
  for (const set of ['database', 'ledger', 'sealer'] as const) {
    const file = join(place(set), filesAt(set)[0]!);
    const identity = join(root, `identity-${set}`);
    writeFileSync(identity, ageIdentity(recoveryIdentity(seed, set)), { mode: 0o600 });
    const names = execFileSync('sh', ['-c', `age -d -i ${identity} ${file} | tar tz`], { encoding: 'utf8' }).split(
      '\n',
    );
    assert.ok(names.includes('MANIFEST.json'));
    if (set === 'sealer') {
      assert.ok(names.includes('sealer/pinned.json'));
      assert.ok(!names.some((name) => /organisation[^/]*\.key$/.test(name)), 'the key itself is not in it');
      assert.ok(names.some((name) => /^sealer\/recovery\/organisation\.[0-9a-f]{8}\.age$/.test(name)));
    }
    if (set === 'ledger')
      assert.ok(names.filter((name) => name.startsWith('ledger/locks/')).length >= stage.handles.length);
    if (set === 'database') {
      assert.ok(names.includes('database.dump/000000') && names.includes('core/command.key'));
      assert.ok(!names.some((name) => /^(ledger|sealer)\/|pg-admin/.test(name)), 'nothing of the guards, no password');
    }
    // Another set's key opens nothing.
    writeFileSync(identity, ageIdentity(recoveryIdentity(seed, set === 'ledger' ? 'sealer' : 'ledger')), {
      mode: 0o600,
    });
    assert.throws(() => execFileSync('age', ['-d', '-i', identity, file], { stdio: 'pipe' }));
  }
});

test('one place for two sets is refused: the same, inside one another, by a link, marked by the other, in the home', async () => {
  const home = product.home;
  const before = { target: { kind: 'directory', path: place('sealer') } } as const;
  const link = join(root, 'link');
  symlinkSync(place('ledger'), link);
  const inside = join(place('ledger'), 'inside');
  mkdirSync(inside);
  const program = join(root, 'remote.sh');
  writeFileSync(program, '#!/bin/sh\n[ "$1" = place ] && echo "remote:one/prefix"\nexit 0\n', { mode: 0o755 });
  for (const path of [place('ledger'), inside, link, join(home.dir, 'demo')]) {
    mkdirSync(path, { recursive: true });
    changeSettings(home, 'sealer', { target: { kind: 'directory', path } });
    await assert.rejects(stage.run(), { code: 'same-target' }, path);
  }
  // The same share under another name: the mark tells.
  const moved = join(root, 'mounted-elsewhere');
  mkdirSync(moved);
  writeFileSync(join(moved, '.bartizan-backup'), readFileSync(join(place('database'), '.bartizan-backup')));
  changeSettings(home, 'sealer', { target: { kind: 'directory', path: moved } });
  await assert.rejects(stage.run(), { code: 'same-target', message: /place of the database backup/ });
  changeSettings(home, 'sealer', { target: { kind: 'command', program, args: [] } });
  changeSettings(home, 'database', { target: { kind: 'command', program, args: [] } });
  await assert.rejects(stage.run(), { code: 'same-target' });
  changeSettings(home, 'database', { target: { kind: 'directory', path: place('database') } });
  changeSettings(home, 'sealer', before);
  assert.equal(filesAt('ledger').length, 1, 'nothing was written meanwhile');
});

test('settings that would undo the walls are refused', () => {
  const home = product.home;
  assert.throws(() => changeSettings(home, 'ledger', { keepDays: 31 }), { message: /30 days at most/ });
  assert.throws(() => changeSettings(home, 'sealer', { recipients: [`age1${'q'.repeat(58)}`] }), /./);
  assert.throws(() => changeSettings(home, 'database', { recipients: ['age1nonsense'] }), { code: 'key' });
});

test('a program as a place: what it is given is what it gives back; one that lies or fails is told', async () => {
  const shelf = join(root, 'shelf');
  mkdirSync(shelf, { mode: 0o777 });
  const program = join(root, 'shelf.sh');
  const script = (put: string) =>
    writeFileSync(
      program,
      `#!/bin/sh\nset -e\ncd ${shelf}\ncase $1 in place) echo shelf:one;; put) ${put};; get) cat "$2";; list) for f in *.age; do [ -e "$f" ] && echo "$(stat -c %s "$f") $f" || true; done;; delete) rm "$2";; esac\n`,
      { mode: 0o755 },
    );
  script('cat > "$2"');
  changeSettings(product.home, 'database', { target: { kind: 'command', program, args: [] } });
  const only = () => withBackupDoors(product.home, (doors) => runBackups(doors, ['database']));
  assert.equal((await only())[0]!.ok, true);
  assert.equal(readdirSync(shelf).length, 1);
  script('cat > /dev/null; echo nothing > "$2"');
  assert.equal((await only())[0]!.code, 'not-durable');
  script('echo "quota exceeded" >&2; exit 3');
  assert.match((await only())[0]!.message!, /status 3\): quota exceeded/);
  assert.equal(readdirSync(shelf).length, 1, 'the good one is still there, the bad ones are not');
  changeSettings(product.home, 'database', { target: { kind: 'directory', path: place('database') } });
});

test('restore and its rehearsal', async (t) => {
  assert.ok((await stage.run()).every(({ ok }) => ok));
  await t.test('what was changed, swapped or is not enough is refused and leaves nothing', () => refusals(stage));
  await t.test('a rehearsal opens a decoy and is recorded, once', () => rehearsal(stage));
  await t.test('killed and begun anew, it is an installation that works, under lock', () => restored(stage));
});

test('D13: three stolen sets and two cards tell nothing; three cards bring everything back', async () => {
  const result = await d13({ portBase: await freePorts(), people: 20, phones: 3 }, () => {});
  assert.equal(result.passed, true, JSON.stringify(result.evidence));
});
