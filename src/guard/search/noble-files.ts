/**
 * The only code of others that a guard may load: the group arithmetic of number search. SHA-256 of every file that the import
 * brings in; what differs is not loaded. `rooms.json` has the same list, and test/walls/noble.test.ts what Node loads.
 */
export const NOBLE_FILES: { readonly [path: string]: string } = {
  '@noble/curves/abstract/curve.js': 'dbaeee3b41ff47efb76b78e14170fe4dda7c7ecdc387c402f16c5118e0bac356',
  '@noble/curves/abstract/edwards.js': 'f24a9c221a549a8fff259eb8f245ab0dc17679b13c532c3970d91acc4df9fffd',
  '@noble/curves/abstract/fft.js': 'a4b2ff7ca33f4acc85d61f0e83ec3303c3f6b38ecc19b20d0f6462d820e518cf',
  '@noble/curves/abstract/frost.js': '9a95f1fdf7e17b9d93a16049db675ee2967ed2a04cf59b1bd981d4662acbedf5',
  '@noble/curves/abstract/hash-to-curve.js': 'e3c97e7d0827b728b14e3311ed11d8e386d8a70d8fc77e0b9fd2a3090f19d955',
  '@noble/curves/abstract/modular.js': '9ced3aa10598277a735e54f7b61d88e929d565da884ba5385f9006ebb3b6aab2',
  '@noble/curves/abstract/montgomery.js': 'cdafa8816dad5a24475ec51952c5f71fdd5d1b46880ab982694c4f8ff605fc46',
  '@noble/curves/abstract/oprf.js': '2ca36b3e4930092db1f91559410e86975816c036e248067bc65a8055aa1c504c',
  '@noble/curves/ed25519.js': 'e13f6c50c36feb0d18bf7986d5f881bcefb5f1f5b16de3cc5ee7693254c7a0b5',
  '@noble/curves/utils.js': 'be9ff86aef76419376e4d66cf01a134f3117f1f8dd62d81f1b79100145503367',
  '@noble/hashes/_md.js': '60cf3010fda89e3e4d3f0e7ff1ce249e9c467f34b4fd41b6fd6101d9f69be763',
  '@noble/hashes/_u64.js': 'b09da8c07fe8187c07649494cdb7cd0bcf13df90b506a9473d19e4d5f8c2e102',
  '@noble/hashes/sha2.js': '471746bba6ec4c6238ca41358d1d3b40b6ff31cf3363f0b4d550c649c1a8e83b',
  '@noble/hashes/utils.js': '037ad49adb78168b6b699598fd33f85f7877456b1d28b4d032e2a1a16807947c',
};
