import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fold, wordsOf } from './fold.ts';
import { NameMemory } from './name-memory.ts';

const folded = (text: string) => fold(Buffer.from(text)).toString();

test('letters are folded within their script', () => {
  for (const [from, to] of [
    ['Ångström', ' angstrom '],
    ['STRASSE straße', ' strasse strasse '],
    ['Łódź, Ørsted & Ægir', ' lodz orsted aegir '],
    ['İstanbul ısı', ' istanbul isi '],
    ['Þórður Ðæ', ' thordur dae '],
    ['Ὀδυσσεύς', ' οδυσσευσ '],
    ['Йосип Ґалаґан Ѐ', ' иосип галаган е '],
    ['Jean-Luc d’Été', ' jean luc dete '],
    ['Ｆｕｌｌ ﬁn', ' full fin '],
    ['\u0041\u030a', ' a '],
    ['李小龍 123', ' 李小龍 123 '],
    ['  ', ' '],
    ['', ' '],
  ] as const) {
    assert.equal(folded(from), to, from);
  }
});

test('folding is the same for composed and decomposed text, repeats to itself, and takes any bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      const once = folded(text);
      assert.equal(folded(text.normalize('NFD')), folded(text.normalize('NFC')));
      assert.equal(folded(once), once);
      assert.ok(once.startsWith(' ') && once.endsWith(' ') && !once.includes('  '));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const words = wordsOf(fold(bytes));
      assert.equal([' ', ...words.map((word) => `${word} `)].join(''), fold(bytes).toString());
    }),
  );
});

const letters = fc.constantFrom('a', 'b', 'ä', 'B', 'é');
const word = fc.array(letters, { minLength: 1, maxLength: 5 }).map((all) => all.join(''));
const name = fc.array(word, { minLength: 1, maxLength: 3 }).map((all) => all.join(' '));

/** The same, said plainly over strings. */
function model(people: ReadonlyMap<string, string>, query: string, most: number) {
  const words = folded(query).split(' ').filter(Boolean);
  if (words.length === 0) return { full: false, more: false, hits: [] };
  const part = [...people].filter(([, one]) => words.every((each) => folded(one).includes(each)));
  const full = part.filter(([, one]) => words.every((each) => folded(one).split(' ').includes(each)));
  const whole = words.length > 1 && full.length > 0;
  const taken = whole ? full : part;
  return { full: whole, more: taken.length > most, hits: taken.slice(0, most).map(([subject]) => subject) };
}

test('the memory finds what a plain search over strings finds, through all changes', () => {
  const change = fc.record({ n: fc.nat({ max: 12 }), name: fc.option(name) });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 40 }),
      fc.array(name, { minLength: 1, maxLength: 4 }),
      (changes, asked) => {
        const memory = new NameMemory();
        const people = new Map<string, string>();
        for (const [version, { n, name: text }] of changes.entries()) {
          people.delete(`p${n}`);
          if (text === null) memory.forget(`p${n}`);
          else {
            memory.put(`p${n}`, version + 1, Buffer.from(text));
            people.set(`p${n}`, text);
          }
        }
        assert.equal(memory.size, people.size);
        for (const query of asked) {
          const found = memory.find(Buffer.from(query), 3);
          assert.deepEqual({ ...found, hits: found.hits.map(({ subject }) => subject) }, model(people, query, 3));
          for (const { subject, name: bytes } of found.hits) assert.equal(bytes.toString(), people.get(subject));
        }
      },
    ),
  );
});

test('many leavers are packed away, and nothing of a wiped memory can be found', () => {
  const memory = new NameMemory();
  for (let n = 0; n < 5_000; n++) memory.put(`p${n}`, 1, Buffer.from(`Vorname Nachname${n}`));
  const { bytes } = memory;
  for (let n = 0; n < 4_500; n++) memory.forget(`p${n}`);
  assert.ok(memory.bytes < bytes, 'packed');
  assert.equal(memory.find(Buffer.from('nachname4499'), 10).hits.length, 0);
  assert.deepEqual(
    memory.find(Buffer.from('nachname4600 vorname'), 10).hits.map(({ subject }) => subject),
    ['p4600'],
  );
  memory.wipe();
  assert.deepEqual([memory.size, memory.bytes], [0, 0]);
  assert.deepEqual(memory.find(Buffer.from('vorname'), 10).hits, []);
});
