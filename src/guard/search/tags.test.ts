import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Tag, Tags } from './tags.ts';

const folder = mkdtempSync(join(tmpdir(), 'btz-tags-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let n = 0;
const place = () => join(folder, String(n++));
const tag = (subject: string, name: string, version = 1): Tag => ({ subject, version, tag: name });

test('the table is there again after a restart, with the newest tag of everybody', async () => {
  const path = place();
  const tags = new Tags(path);
  await tags.add([tag('a', 'one'), tag('b', 'one')]);
  await tags.add([tag('a', 'two', 2)]);
  for (const table of [tags, new Tags(path)]) {
    assert.deepEqual(
      table.find('one').map(({ subject }) => subject),
      ['b'],
    );
    assert.deepEqual(table.find('two'), [tag('a', 'two', 2)]);
    assert.deepEqual([table.find('three'), table.size, table.version('a')], [[], 2, 2]);
  }
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a torn last line is dropped, and what comes after it is whole', async () => {
  const path = place();
  await new Tags(path).add([tag('a', 'one')]);
  appendFileSync(path, '{"subject":"b","ver');
  const torn = new Tags(path);
  assert.equal(torn.size, 1);
  await torn.add([tag('c', 'three')]);
  assert.deepEqual([...new Tags(path).find('three')], [tag('c', 'three')]);
});

test('whoever leaves is in the file no more', async () => {
  const path = place();
  const tags = new Tags(path);
  await Promise.all([tags.add([tag('anna', 'one')]), tags.add([tag('bert', 'two')]), tags.drop(['anna', 'nobody'])]);
  assert.ok(!readFileSync(path, 'utf8').includes('anna'));
  assert.deepEqual([tags.find('one'), new Tags(path).size], [[], 1]);
  await tags.clear();
  assert.equal(readFileSync(path, 'utf8'), '');
});
