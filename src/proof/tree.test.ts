import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EMPTY_ROOT, leafHash, nodeHash, Tree, verifyConsistency, verifyInclusion } from './index.ts';

/** The definition in RFC 6962 section 2.1, word by word, as the judge of the incremental tree. */
function mth(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leafHash(leaves[0]!);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}

function grow(leaves: readonly Buffer[]): Tree {
  const tree = new Tree();
  for (const leaf of leaves) tree.append(leafHash(leaf));
  return tree;
}

// The inputs and roots that the certificate transparency implementations publish for RFC 6962.
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('roots are those that other implementations publish', () => {
  assert.equal(EMPTY_ROOT.toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  const leaves = INPUTS.map((text) => Buffer.from(text, 'hex'));
  for (let n = 1; n <= 8; n++) assert.equal(grow(leaves.slice(0, n)).root().toString('hex'), ROOTS[n - 1]);
});

const someLeaves = fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 70 });

test('every root, inclusion and consistency proof holds, and no other', () => {
  fc.assert(
    fc.property(someLeaves, fc.nat(), fc.nat(), fc.nat(), (values, a, b, c) => {
      const leaves = values.map((value) => Buffer.from(value));
      const tree = grow(leaves);
      const size = 1 + (a % leaves.length);
      const index = b % size;
      const old = 1 + (c % size);
      assert.deepEqual(tree.root(size), mth(leaves.slice(0, size)));
      const root = tree.root(size);
      const proof = tree.inclusion(index, size);
      assert.ok(verifyInclusion(leafHash(leaves[index]!), index, size, root, proof));
      assert.ok(!verifyInclusion(leafHash(Buffer.from('another leaf')), index, size, root, proof));
      assert.ok(!verifyInclusion(leafHash(leaves[index]!), index, size, root, [...proof, root]));
      assert.ok(!verifyInclusion(leafHash(leaves[index]!), size, size, root, proof));
      if (proof.length > 0) {
        assert.ok(!verifyInclusion(leafHash(leaves[index]!), index, size, root, proof.slice(1)));
        const bent = proof.map((hash) => Buffer.from(hash));
        bent[b % bent.length]![a % 32]! ^= 1;
        assert.ok(!verifyInclusion(leafHash(leaves[index]!), index, size, root, bent));
      }
      const oldRoot = tree.root(old);
      const path = tree.consistency(old, size);
      assert.ok(verifyConsistency(old, size, oldRoot, root, path));
      assert.ok(!verifyConsistency(old, size, leafHash(oldRoot), root, path));
      assert.ok(!verifyConsistency(old, size, oldRoot, leafHash(root), path));
      assert.ok(!verifyConsistency(old, size, oldRoot, root, [...path, root]));
      if (path.length > 0) assert.ok(!verifyConsistency(old, size, oldRoot, root, path.slice(1)));
    }),
    { numRuns: 150 },
  );
});

test('a tree never answers for a size that it has not reached', () => {
  const tree = grow([Buffer.from('a'), Buffer.from('b')]);
  assert.throws(() => tree.root(3), { code: 'proof' });
  assert.throws(() => tree.inclusion(2), { code: 'proof' });
  assert.throws(() => tree.inclusion(0, 3), { code: 'proof' });
  assert.throws(() => tree.consistency(0), { code: 'proof' });
  assert.throws(() => tree.consistency(3), { code: 'proof' });
});
