import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  AgeReader,
  AgeWriter,
  ageIdentity,
  ageOpen,
  ageRecipient,
  ageSeal,
  readAgeIdentity,
  readAgeRecipient,
} from './age.ts';
import { x25519Raw } from './kem.ts';

const folder = mkdtempSync(join(tmpdir(), 'btz-age-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const pair = () => {
  const { privateKey } = generateKeyPairSync('x25519');
  const raw = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  return { secret: raw, open: x25519Raw(privateKey) };
};
const [mine, other] = [pair(), pair()];
const identity = join(folder, 'identity');
writeFileSync(identity, `${ageIdentity(mine.secret)}\n`, { mode: 0o600 });
const age = (args: readonly string[], input: Uint8Array): Buffer =>
  execFileSync('age', [...args], { input, maxBuffer: 1 << 26, stdio: ['pipe', 'pipe', 'pipe'] });

for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072, 300_001]) {
  test(`the age tool opens our file of ${size} bytes, and we open its`, () => {
    const plain = randomBytes(size);
    assert.deepEqual(age(['-d', '-i', identity], ageSeal([other.open, mine.open], plain)), plain);
    const theirs = age(['-r', ageRecipient(other.open), '-r', ageRecipient(mine.open)], plain);
    assert.deepEqual(ageOpen(mine.secret, theirs), plain);
  });
}

test('keys are written as the age tool writes them', () => {
  const made = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const secret = /AGE-SECRET-KEY-1\S+/.exec(made)![0];
  const recipient = /age1\S+/.exec(made)![0];
  assert.equal(ageIdentity(readAgeIdentity(secret)), secret);
  assert.equal(ageRecipient(readAgeRecipient(recipient)), recipient);
  assert.throws(() => readAgeRecipient(recipient.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'))), { code: 'key' });
  assert.throws(() => readAgeRecipient(`${recipient.slice(0, 20)}${recipient.slice(20).toUpperCase()}`), {
    code: 'key',
  });
});

test('a stream in pieces gives the same as one push', () => {
  const plain = randomBytes(200_000);
  const writer = new AgeWriter([mine.open]);
  const parts = [writer.head];
  for (let at = 0; at < plain.length; at += 7_001) parts.push(writer.push(plain.subarray(at, at + 7_001)));
  parts.push(writer.end());
  const file = Buffer.concat(parts);
  const reader = new AgeReader(mine.secret);
  const read: Buffer[] = [];
  for (let at = 0; at < file.length; at += 13) read.push(reader.push(file.subarray(at, at + 13)));
  assert.deepEqual(Buffer.concat([...read, reader.end()]), plain);
});

test('what was cut, changed, or is for somebody else does not open, and says why', () => {
  const file = ageSeal([mine.open], randomBytes(200_000));
  const changed = (at: number) => Buffer.from(file).fill(file[at]! ^ 1, at, at + 1);
  for (const [bad, why] of [
    [file.subarray(0, -1), /cut or changed/],
    [file.subarray(0, file.length - 3 * 16 - 10), /cut/],
    [file.subarray(0, 184 + 16 + 65_552), /cut/],
    [file.subarray(0, 40), /cut off/],
    [changed(file.length - 5), /changed/],
    [changed(60), /another key/],
    [changed(file.indexOf('--- ') + 6), /changed/],
    [randomBytes(500), /not an age file/],
  ] as const)
    assert.throws(() => ageOpen(mine.secret, bad), { code: 'age', message: why });
  assert.throws(() => ageOpen(other.secret, file), { message: /another key/ });
  assert.throws(() => new AgeWriter([]), { code: 'key' });
});
