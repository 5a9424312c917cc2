import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { toBase64url } from '#base';
import { leafHash, signCheckpoint, Tree, verifierKey } from '#proof';
import { isInLog } from '../../web/src/shared/log-proof.ts';

const ORIGIN = 'bartizan.invalid/org-test';

test('the page proves entries of a log of any size by itself, under any key, and nothing that is not there', async () => {
  // A key's base64 may hold plus signs and slashes: several keys, so that some do.
  for (let round = 0; round < 12; round++) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const verifier = verifierKey(ORIGIN, privateKey);
    const tree = new Tree();
    const envelopes = Array.from({ length: 1 + ((round * 7) % 40) }, (_, n) => JSON.stringify({ n, round }));
    for (const one of envelopes) tree.append(leafHash(Buffer.from(one)));
    const { size } = tree;
    const note = signCheckpoint({ origin: ORIGIN, size, root: tree.root() }, privateKey);
    for (let leaf = 0; leaf < size; leaf += 3) {
      const entry = { leaf, envelope: envelopes[leaf]!, proof: tree.inclusion(leaf, size).map(toBase64url) };
      assert.equal(await isInLog(entry, note, verifier), true, `${leaf} of ${size}`);
      const no = async (what: string, given: Parameters<typeof isInLog>) =>
        assert.equal(await isInLog(...given), false, what);
      await no('another entry', [{ ...entry, envelope: '{"n":-1}' }, note, verifier]);
      await no('another place', [{ ...entry, leaf: size }, note, verifier]);
      if (size > 1)
        await no('another proof', [{ ...entry, proof: [...entry.proof].reverse().slice(1) }, note, verifier]);
      await no('another key', [entry, note, verifierKey(ORIGIN, generateKeyPairSync('ed25519').privateKey)]);
      await no('another log', [entry, note, verifier.replace('org-test', 'org-else')]);
      await no('a changed checkpoint', [entry, note.replace(`\n${size}\n`, `\n${size + 1}\n`), verifier]);
      await no('no checkpoint', [entry, 'nothing', verifier]);
      await no('no key', [entry, note, 'nothing']);
    }
  }
});
