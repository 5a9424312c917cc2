import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { cosignerKey, verifierKey } from '#proof';
import { checkEvidence, NO_EVIDENCE } from './index.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const key = cosignerKey('witness.example/w1', privateKey);
const witness = { name: 'w1', url: 'https://witness.example/at', keys: [key] };

test('settings are read with their standards', () => {
  assert.deepEqual(checkEvidence({}), NO_EVIDENCE);
  const read = checkEvidence({
    witnesses: [witness],
    authorities: [{ name: 't', url: 'http://127.0.0.1:1/' }],
    everySeconds: 5,
  });
  assert.deepEqual(read, {
    ...NO_EVIDENCE,
    witnesses: [witness],
    authorities: [{ name: 't', url: 'http://127.0.0.1:1/' }],
    everySeconds: 5,
  });
});

for (const [what, value, said] of [
  ['no object', [], /the file is no object/],
  ['an unknown member', { witness: [] }, /unknown member/],
  ['no list', { witnesses: witness }, /witnesses is no list/],
  ['an address without TLS', { witnesses: [{ ...witness, url: 'http://witness.example/' }] }, /must begin with https/],
  ['a password in it', { witnesses: [{ ...witness, url: 'https://a:b@witness.example/' }] }, /no plain address/],
  ['no keys', { witnesses: [{ ...witness, keys: [] }] }, /has no keys/],
  ['the key of a log', { witnesses: [{ ...witness, keys: [verifierKey('x', privateKey)] }] }, /no witness key/],
  ['a key that was cut', { witnesses: [{ ...witness, keys: [key.slice(0, -4)] }] }, /no witness key/],
  ['a name twice', { witnesses: [witness, witness] }, /there twice/],
  ['a name with a space', { authorities: [{ name: 'a b', url: 'https://t.example/' }] }, /name is no name/],
  ['no PEM', { authorities: [{ name: 'a', url: 'https://t.example/', ca: 'x' }] }, /ca is no PEM/],
  ['half a minute', { alarmMinutes: 0.5 }, /alarmMinutes is a whole number from 1 to 1440/],
] as const) {
  test(`settings with ${what} are refused, by name`, () => {
    assert.throws(
      () => checkEvidence(value),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'settings');
        assert.match(error.message, said);
        return true;
      },
    );
  });
}
