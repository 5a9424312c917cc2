import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { fromBase64url, toBase64url } from '#base';
import { hpkeOpen, keysDigest, openInner, openOuter, type PublicKeys, rawPublic, unpadValue } from '#seal';
import { sealer } from '../../web/src/glass/import/hpke.ts';
import { keysDigest as digestOfPage } from '../../web/src/glass/import/pin.ts';
import { sealPeople, shuffled } from '../../web/src/glass/import/seal.ts';

// What glass's page seals in bulk is what the guards open. The same WebCrypto is in this process.
const pairs = {
  x25519: () => generateKeyPairSync('x25519').privateKey,
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
};

for (const [name, make] of Object.entries(pairs)) {
  test(`the page’s HPKE opens with the guards’: ${name}`, async () => {
    const key = make();
    const seal = await sealer(new Uint8Array(rawPublic(key)), 'an info');
    for (let n = 0; n < 20; n += 1) {
      const text = new TextEncoder().encode(`message ${n}`);
      const aad = new TextEncoder().encode(`label ${n}`);
      const sealed = await seal(text, aad);
      assert.equal(sealed.length, 32 + text.length + 16);
      assert.equal(hpkeOpen(key, sealed, { info: 'an info', aad }).toString(), `message ${n}`);
      assert.throws(() => hpkeOpen(key, sealed, { info: 'an info', aad: Buffer.from('another') }));
      assert.throws(() => hpkeOpen(key, sealed, { info: 'another', aad }));
    }
  });
}

test('people sealed by the page open in both guards, bound to handle, field and version', async () => {
  const [inner, outer] = [pairs.x25519(), pairs.x25519()];
  const keys = {
    org: 'org-test',
    inner: toBase64url(rawPublic(inner)),
    outer: toBase64url(rawPublic(outer)),
  } as PublicKeys;
  const person = { given: 'Mirela', family: 'Ștefănescu', email: 'm@example.org', mobile: '+447700900001' };
  const place = { handle: 'amber-otter-1234', versions: [1, 7, 2] };
  const lines = await sealPeople({
    ...{ keys, people: [{ ...person, unit: 'Registry', memberState: 'RO', externalId: '' }], places: [place] },
    ...{ signal: new AbortController().signal, told: () => {} },
  });
  const [handle, unit, state, ...sealed] = lines[0]!.split('\t');
  assert.deepEqual([handle, unit, state, sealed.length], ['amber-otter-1234', 'Registry', 'RO', 3]);
  const expected = { name: 'Mirela Ștefănescu', number: '+447700900001', email: 'm@example.org' };
  for (const [i, field] of (['name', 'number', 'email'] as const).entries()) {
    const label = { org: 'org-test', subject: handle!, field, version: place.versions[i]! };
    const first = openOuter(outer, fromBase64url(sealed[i]!), label);
    assert.equal(unpadValue(openInner(inner, first, label), field), expected[field]);
    assert.throws(() => openOuter(outer, fromBase64url(sealed[i]!), { ...label, version: 9 }));
  }
  assert.equal(await digestOfPage(keys), keysDigest(keys), 'both sides name the keys alike');
});

test('an import that is stopped seals nobody more, and its order is not the file’s', async () => {
  const stop = new AbortController();
  const keys = {
    org: 'o',
    inner: toBase64url(rawPublic(pairs.x25519())),
    outer: toBase64url(rawPublic(pairs.x25519())),
  };
  const people = Array.from({ length: 500 }, (_, n) => ({
    ...{ given: 'A', family: `B${n}`, email: `b${n}@example.org`, mobile: '+447700900001' },
    ...{ unit: '', memberState: '', externalId: '' },
  }));
  let done = 0;
  const sealing = sealPeople({
    ...{ keys: keys as PublicKeys, people, signal: stop.signal },
    places: people.map(() => ({ handle: 'amber-otter-1234', versions: [1, 1, 1] })),
    told: (n) => {
      done = n;
      if (n === 30) stop.abort();
    },
  });
  await assert.rejects(sealing, { name: 'AbortError' });
  assert.ok(done < 100, `${done} were sealed`);
  const mixed = shuffled(people.map(({ family }) => family));
  assert.equal(new Set(mixed).size, 500);
  assert.notDeepEqual(
    mixed.slice(0, 20),
    people.slice(0, 20).map(({ family }) => family),
  );
});
