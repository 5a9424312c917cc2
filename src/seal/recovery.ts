import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import { sha256, toBase64url } from '#base';
import { ageRecipient, readAgeRecipient } from './age.ts';
import { SealError } from './errors.ts';
import { x25519Private, x25519Raw } from './kem.ts';
import { base64url, object, oneOf, type Shape, text } from './shape.ts';

/** What is encrypted to the recovery key, each to a recipient of its own: three backups, and the organisation's key. */
export const RECOVERY_USES = ['database', 'ledger', 'sealer', 'organisation'] as const;
export type RecoveryUse = (typeof RECOVERY_USES)[number];

/** The public half of the offline recovery key. Its private half is 32 bytes that exist on share cards alone. */
export interface RecoveryKey {
  readonly v: 1;
  /** Eight hexadecimal digits that every share card bears. */
  readonly id: string;
  /** age recipients. */
  readonly recipients: { readonly [use in RecoveryUse]: string };
  /** Ed25519 SPKI DER: signs what a restore does to the guards. */
  readonly sign: string;
}

const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

const derived = (seed: Uint8Array, what: string): Buffer => {
  if (seed.byteLength !== 32) throw new SealError('key', 'A recovery key has 32 bytes.');
  return Buffer.from(hkdfSync('sha256', seed, 'bartizan recovery v1', what, 32));
};

/** The raw X25519 key that opens what is encrypted for this use. */
export const recoveryIdentity = (seed: Uint8Array, use: RecoveryUse): Buffer => derived(seed, use);

/** The Ed25519 key that signs what a restore does. */
export function recoverySigner(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([ED25519_PKCS8, derived(seed, 'sign')]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

const idOf = (recipients: RecoveryKey['recipients'], sign: string): string =>
  sha256(RECOVERY_USES.map((use) => recipients[use]).join(), sign)
    .toString('hex')
    .slice(0, 8);

/** The public half of a seed. */
export function recoveryKeyOf(seed: Uint8Array): RecoveryKey {
  const of = (use: RecoveryUse) => ageRecipient(x25519Raw(x25519Private(derived(seed, use))));
  const recipients = {
    database: of('database'),
    ledger: of('ledger'),
    sealer: of('sealer'),
    organisation: of('organisation'),
  };
  const spki = createPublicKey(recoverySigner(seed)).export({ format: 'der', type: 'spki' });
  const sign = toBase64url(spki);
  return { v: 1, id: idOf(recipients, sign), recipients, sign };
}

const recipient: Shape<string> = (value, where) => {
  const read = text(80)(value, where);
  readAgeRecipient(read);
  return read;
};
const recoveryKey = object({
  v: oneOf(1),
  id: text(8, { pattern: /^[0-9a-f]{8}$/ }),
  recipients: object({ database: recipient, ledger: recipient, sealer: recipient, organisation: recipient }),
  sign: base64url(44),
});

/** Reads the public half; its id must be that of its keys. Throws SealError `shape` or `key`. */
export const parseRecoveryKey: Shape<RecoveryKey> = (value, where) => {
  const read = recoveryKey(value, where);
  if (idOf(read.recipients, read.sign) !== read.id) {
    throw new SealError('shape', 'This recovery key was changed: its id is not that of its keys.');
  }
  return read;
};
