import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { recoveryKeyOf } from '#seal';
import { shareCard } from './card.ts';
import { combineShares, readShare, splitRecovery } from './shares.ts';

const seed = randomBytes(32);
const shares = await splitRecovery(seed);
const lines = shares.map(({ text }) => text);

test('any three of five cards give the key back, and no two do', async () => {
  for (let a = 0; a < 5; a++)
    for (let b = a + 1; b < 5; b++) {
      await assert.rejects(combineShares([lines[a]!, lines[b]!]), { code: 'shares' });
      for (let c = b + 1; c < 5; c++) {
        const { seed: found, key } = await combineShares([lines[c]!, lines[a]!, lines[b]!]);
        assert.deepEqual(found, seed);
        assert.deepEqual(key, recoveryKeyOf(seed));
      }
    }
  // The same card three times is one card.
  await assert.rejects(combineShares([lines[0]!, lines[0]!, lines[0]!]), { message: /there are 1/ });
});

test('a card is read as people type it', async () => {
  const typed = lines.slice(0, 3).map((line) => ` ${line.toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O')}\n`);
  // O is typed for 0 in the letters; the id is hexadecimal and keeps its zeros.
  const id = shares[0]!.key;
  const fixed = typed.map((line, i) => line.replace(/BTZ \S+ \d/, `BTZ ${id} ${i + 1}`));
  assert.deepEqual((await combineShares(fixed)).seed, seed);
});

test('a letter wrong, a card of another key, a card that is cut: each is told', async () => {
  const last = lines[0]!.at(-3)!;
  const wrong = `${lines[0]!.slice(0, -3)}${last === '7' ? '8' : '7'}${lines[0]!.slice(-2)}`;
  assert.throws(() => readShare(wrong), { code: 'share', message: /Card 1 was mistyped/ });
  assert.throws(() => readShare(lines[1]!.slice(0, -4)), { message: /Card 2 has 60 letters after its number; 5\d/ });
  assert.throws(() => readShare('correct horse battery staple'), { message: /not a share/ });
  const others = (await splitRecovery(randomBytes(32))).map(({ text }) => text);
  await assert.rejects(combineShares([lines[0]!, lines[1]!, others[2]!]), { message: /different recovery keys/ });
  await assert.rejects(combineShares(others.slice(0, 3), recoveryKeyOf(seed)), {
    message: new RegExp(`need cards of ${recoveryKeyOf(seed).id}`),
  });
});

test('a card bears its own share and no other', () => {
  const card = shareCard(shares[3]!, 'example-agency <b>');
  assert.ok(card.includes('<svg') && card.includes(shares[3]!.words) && !card.includes('<b>'));
  for (const [i, share] of shares.entries()) assert.equal(card.includes(share.words), i === 3);
});
