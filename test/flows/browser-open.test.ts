import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { canonicalJson, type Json, toBase64url } from '#base';
import { challengeOf, type Grant, hpkeSeal, type Receipt, signReceipt } from '#seal';
import { type BrowserKey, newBrowserKey, openAnswer, receiptHolds } from '../../web/src/glass/open.ts';
import { challengeOf as browserChallengeOf, fromBase64url } from '../../web/src/shared/bytes.ts';

const ledger = generateKeyPairSync('ed25519');
const spki = toBase64url(ledger.publicKey.export({ type: 'spki', format: 'der' }));
const subject = 'amber-otter-4821';

async function revealed(): Promise<{ pair: BrowserKey; grant: Grant; receipt: Receipt }> {
  const { pair, publicKey } = await newBrowserKey();
  const grant: Grant = {
    v: 1,
    op: 'reveal',
    id: '0192f7a0-0000-7000-8000-000000000001',
    admin: 'marta',
    field: 'number',
    subjects: [subject],
    purpose: 'zażółć "gęślą" \u2028 jaźń',
    notAfter: 1_800_000_000_000,
    browserKey: publicKey,
  };
  const receipt = signReceipt(ledger.privateKey, {
    v: 1,
    grant: grant.id,
    grantSha256: toBase64url(challengeOf(grant)),
    leaf: 7,
    opened: [subject],
    time: 1_700_000_000_000,
  });
  return { pair, grant, receipt };
}

function answer(grant: Grant, receipt: Receipt, aad: Receipt = receipt) {
  const sealed = hpkeSeal(
    fromBase64url(grant.browserKey),
    Buffer.from(canonicalJson({ values: { [subject]: '+44 7700 900321' } })),
    {
      info: 'bartizan reveal v1',
      aad: Buffer.from(canonicalJson(aad as unknown as Json)),
    },
  );
  return { enc: toBase64url(sealed.subarray(0, 32)), ct: toBase64url(sealed.subarray(32)), receipt };
}

test('the browser computes the same challenge as the guards', async () => {
  const { grant } = await revealed();
  assert.deepEqual(Buffer.from(await browserChallengeOf(grant)), challengeOf(grant));
});

test('the browser opens what the sealer sealed to its key, and only with the receipt it was sealed with', async () => {
  const { pair, grant, receipt } = await revealed();
  const values = await openAnswer(pair, answer(grant, receipt));
  assert.deepEqual([...values], [[subject, '+44 7700 900321']]);
  await assert.rejects(openAnswer(pair, answer(grant, receipt, { ...receipt, leaf: 8 })));
  await assert.rejects(openAnswer((await newBrowserKey()).pair, answer(grant, receipt)));
});

test('the private half of the browser key cannot be exported', async () => {
  const { pair } = await newBrowserKey();
  assert.equal(pair.privateKey.extractable, false);
  await assert.rejects(crypto.subtle.exportKey('jwk', pair.privateKey));
});

test('a receipt holds only for its grant, its ledger and its exact words', async () => {
  const { grant, receipt } = await revealed();
  const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(await receiptHolds(spki, receipt, grant), true);
  assert.equal(await receiptHolds(toBase64url(other), receipt, grant), false);
  assert.equal(await receiptHolds(spki, { ...receipt, leaf: 8 }, grant), false);
  assert.equal(await receiptHolds(spki, receipt, { ...grant, purpose: 'something else' }), false);
  const { signature: _, ...body } = receipt;
  const more = signReceipt(ledger.privateKey, { ...body, opened: [subject, 'teal-wren-2210'] });
  assert.equal(await receiptHolds(spki, more, grant), false);
});

test('base64url has one spelling', () => {
  assert.throws(() => fromBase64url('QQ=='), RangeError);
  assert.throws(() => fromBase64url('QR'), RangeError);
  assert.deepEqual([...fromBase64url('QQ')], [65]);
});
