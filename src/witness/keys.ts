import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cosign, cosignerKey } from '#proof';
import { WitnessError } from './error.ts';

/** Both kinds of C2SP tlog-cosignature: outside tools read Ed25519, ML-DSA-44 holds against quantum computers. */
const KINDS = ['ed25519', 'ml-dsa-44'] as const;
const NAME = /^[^\s+]{1,200}$/u;

/** Who a witness is. */
export interface Signers {
  readonly name: string;
  /** Verifier keys, to give to whoever asks for cosignatures or checks them. */
  readonly verifiers: readonly string[];
  /** The signature lines of a checkpoint's text. */
  sign(text: string, now: number): string;
}

/** Makes a witness: its name and keys in an empty or new folder. Throws WitnessError. */
export function foundWitness(dir: string, name: string): Signers {
  if (!NAME.test(name) || Buffer.byteLength(name) > 255)
    throw new WitnessError('usage', 'A witness has a name like an address without its scheme: witness.example/w1.');
  if (existsSync(join(dir, 'name')))
    throw new WitnessError('usage', 'There is a witness in this folder already. Its keys are not made anew.');
  mkdirSync(join(dir, 'logs'), { recursive: true, mode: 0o700 });
  for (const kind of KINDS) {
    const { privateKey } = kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ml-dsa-44');
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
    writeFileSync(join(dir, `${kind}.key`), pem, { mode: 0o600, flag: 'wx', flush: true });
  }
  // Last: with the name there, the keys are.
  writeFileSync(join(dir, 'name'), `${name}\n`, { flag: 'wx', flush: true });
  return readSigners(dir);
}

/** Reads a witness's name and keys; nothing is made. Throws WitnessError `state`. */
export function readSigners(dir: string): Signers {
  let name: string;
  let keys: KeyObject[];
  try {
    name = readFileSync(join(dir, 'name'), 'utf8').trim();
    keys = KINDS.map((kind) => createPrivateKey(readFileSync(join(dir, `${kind}.key`))));
  } catch (cause) {
    throw new WitnessError(
      'state',
      'There is no witness in this folder, or a key of it is missing. Make one with bartizan witness init.',
      { cause },
    );
  }
  return {
    name,
    verifiers: keys.map((key) => cosignerKey(name, key)),
    sign: (text, now) => keys.map((key) => cosign(text, name, key, now)).join(''),
  };
}
