import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromBase64url, toBase64url } from '#base';
import {
  type GuardClient,
  GuardError,
  hpkeOpen,
  innerPoint,
  kemOf,
  openInner,
  openInnerDerived,
  type RowLabel,
  rawPublic,
  SealError,
  x25519Private,
  x25519Raw,
  x25519Secret,
} from '#seal';
import { openBox, sealBox } from './box.ts';
import { syncFolder, writeDurably } from './files.ts';

/**
 * Where an organisation key lives, worst first: a file of the sealer's; a credential that systemd hands the sealer; a token
 * that never lets it out; an outside key service that unwraps it at each start; shares that people bring at each start.
 */
export const KEY_SOURCES = ['file', 'credential', 'pkcs11', 'kms', 'quorum'] as const;
export type KeySource = (typeof KEY_SOURCES)[number];

/** What a stolen disk is worth against a source; D is worst. */
export const GRADES: { readonly [source in KeySource]: 'A' | 'B' | 'C' | 'D' } = {
  ...{ file: 'D', credential: 'C', pkcs11: 'B', kms: 'B', quorum: 'A' },
};

/** A version of the organisation's key, without the key. */
export interface KeyVersion {
  readonly number: number;
  /** Raw public key, base64url. */
  readonly key: string;
  readonly source: KeySource;
  /** Since when it is what it is, milliseconds. */
  readonly since: number;
}

/** A sealed inner layer and what it is. */
export interface InnerRow {
  readonly inner: Uint8Array;
  readonly label: RowLabel;
}

/** A key that is at hand. */
export interface HeldKey {
  /** The padded values, undefined for what does not open with this key. */
  open(rows: readonly InnerRow[]): Promise<readonly (Buffer | undefined)[]>;
  /** Forgets it. */
  wipe(): void;
}

/** Doors of key sources. */
export interface KeyDoors {
  /** Private folder of the sealer. */
  readonly state: string;
  /** Folder in which systemd put credentials (`CREDENTIALS_DIRECTORY`). */
  readonly credentials?: string;
  /** The process that speaks to tokens, key services and people with shares. */
  readonly keeper?: GuardClient;
}

const KEEPER_INFO = 'bartizan keeper v1';
const KEEPER_MS = 20_000;

const fileName = (number: number): string => (number === 1 ? 'organisation.key' : `organisation-${number}.key`);
export const keyFile = (state: string, number: number): string => join(state, fileName(number));

const missing = (cause?: unknown) =>
  new GuardError('not-founded', 'The key organisation is missing. Restore it; it is not made anew.', { cause });
const wrong = () => new GuardError('wrong-key', 'The source gave another key than the one that was pinned.');

/** A secret in this process's memory: X25519. */
class SecretKey implements HeldKey {
  /** The only lasting copy. Key objects are made from it for each use: those cannot be wiped. */
  readonly #secret: Buffer;

  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  async open(rows: readonly InnerRow[]) {
    const key = x25519Private(this.#secret);
    return rows.map(({ inner, label }) => tried(() => openInner(key, inner, label)));
  }

  wipe(): void {
    this.#secret.fill(0);
  }
}

/** A P-256 key in a token: each opening asks the keeper for the point's secret, which opens this one row alone. */
class TokenKey implements HeldKey {
  readonly #keeper: GuardClient;
  readonly #key: string;
  #gone = false;

  constructor(keeper: GuardClient, key: string) {
    this.#keeper = keeper;
    this.#key = key;
  }

  async open(rows: readonly InnerRow[]) {
    const points = rows.map(({ inner, label }) => tried(() => innerPoint(inner, label)));
    const asked = points.filter((point) => point !== undefined);
    if (asked.length === 0) return rows.map(() => undefined);
    const { secrets } = await this.#keeper.call<{ secrets: string[] }>(
      'derive',
      { key: this.#key, points: asked.map(toBase64url) },
      { timeoutMs: KEEPER_MS },
    );
    if (this.#gone) throw new GuardError('locked', 'The directory is locked.');
    const left = [...secrets];
    const recipient = fromBase64url(this.#key);
    return rows.map(({ inner, label }, i) => {
      if (points[i] === undefined) return undefined;
      return tried(() => openInnerDerived(Buffer.from(fromBase64url(left.shift() ?? '')), recipient, inner, label));
    });
  }

  wipe(): void {
    this.#gone = true;
  }
}

function tried(open: () => Buffer): Buffer | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof SealError) return undefined;
    throw error;
  }
}

/** Takes a secret if it is the pinned key's; wipes it otherwise. Throws GuardError `wrong-key`. */
function heldSecret(secret: Buffer, key: string): HeldKey {
  if (secret.length !== 32 || toBase64url(x25519Raw(x25519Private(secret))) !== key) {
    secret.fill(0);
    throw wrong();
  }
  return new SecretKey(secret);
}

/** Reads a PKCS #8 file and wipes what it was read into. Throws GuardError. */
export function readSecret(path: string): Buffer {
  let der: Buffer;
  try {
    der = readFileSync(path);
  } catch (cause) {
    throw missing(cause);
  }
  try {
    return x25519Secret(der);
  } catch (cause) {
    throw new GuardError('corrupt', 'The key organisation is of another kind.', { cause });
  } finally {
    der.fill(0);
  }
}

const credentialFile = ({ credentials }: KeyDoors, number: number): string => {
  if (credentials === undefined) {
    throw new GuardError('no-source', 'systemd gave this process no credentials. Set LoadCredential in its unit.');
  }
  return join(credentials, number === 1 ? 'organisation' : `organisation-${number}`);
};

const keeperOf = ({ keeper }: KeyDoors): GuardClient => {
  if (keeper === undefined) throw new GuardError('no-source', 'There is no keeper of keys. Set one up and start anew.');
  return keeper;
};

/**
 * Fetches a version from its source. A file or a credential is read before this returns its promise. What comes from the
 * keeper comes sealed to a key of the moment, so that no text of it is ever in this process. Throws GuardError.
 */
export async function fetchKey(doors: KeyDoors, version: KeyVersion): Promise<HeldKey> {
  const { number, key, source } = version;
  switch (source) {
    case 'file':
      return heldSecret(readSecret(keyFile(doors.state, number)), key);
    case 'credential':
      return heldSecret(readSecret(credentialFile(doors, number)), key);
    case 'pkcs11':
      // The token proves that it has this very key: what is sealed to the key must open.
      await keeperOf(doors).call('prove', { key }, { timeoutMs: KEEPER_MS });
      return new TokenKey(keeperOf(doors), key);
    default: {
      const { privateKey } = generateKeyPairSync('x25519');
      const { sealed } = await keeperOf(doors).call<{ sealed: string }>(
        'take',
        { key, to: toBase64url(rawPublic(privateKey)) },
        { timeoutMs: KEEPER_MS },
      );
      const box = hpkeOpen(privateKey, fromBase64url(sealed), { info: KEEPER_INFO, aad: fromBase64url(key) });
      const secret = openBox(doors.state, box, fromBase64url(key));
      box.fill(0);
      return heldSecret(secret, key);
    }
  }
}

/** Makes or finds the next key at its source and returns its raw public key, base64url. Throws GuardError. */
export async function makeOrgKey(doors: KeyDoors, number: number, source: KeySource): Promise<string> {
  switch (source) {
    case 'file': {
      const { privateKey } = generateKeyPairSync('x25519');
      const der = privateKey.export({ format: 'der', type: 'pkcs8' });
      await writeDurably(keyFile(doors.state, number), der);
      der.fill(0);
      return toBase64url(x25519Raw(privateKey));
    }
    case 'credential': {
      const secret = readSecret(credentialFile(doors, number));
      const key = toBase64url(x25519Raw(x25519Private(secret)));
      secret.fill(0);
      return key;
    }
    case 'pkcs11': {
      // Made where it will live: it never was anywhere else.
      const { key } = await keeperOf(doors).call<{ key: string }>('make', { number }, { timeoutMs: KEEPER_MS });
      if (kemOf(fromBase64url(key)) !== 'p256') throw wrong();
      return key;
    }
    default: {
      const secret = randomBytes(32);
      const key = x25519Raw(x25519Private(secret));
      const box = await sealBox(doors.state, secret, key);
      secret.fill(0);
      const body = { source, key: toBase64url(key), box: toBase64url(box) };
      await keeperOf(doors).call('keep', body, { timeoutMs: KEEPER_MS });
      return toBase64url(key);
    }
  }
}

/**
 * Destroys a version where we can: a file is overwritten and removed, the keeper is told. A credential and people's shares are
 * not ours to remove.
 */
export async function destroyKey(doors: KeyDoors, version: KeyVersion): Promise<void> {
  if (version.source === 'credential') return;
  if (version.source !== 'file') {
    await keeperOf(doors).call('destroy', { key: version.key }, { timeoutMs: KEEPER_MS });
    return;
  }
  const path = keyFile(doors.state, version.number);
  if (!existsSync(path)) return;
  const handle = await open(path, 'r+');
  try {
    await handle.write(Buffer.alloc((await handle.stat()).size));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rm(path);
  await syncFolder(dirname(path));
}

/** Whether a staged key can still be had from its source; a keeper that is not there now counts as yes. */
export async function canBeHad(doors: KeyDoors, version: KeyVersion): Promise<boolean> {
  if (version.source === 'file' || version.source === 'credential') return true;
  const { has } = await keeperOf(doors).call<{ has: boolean }>('has', { key: version.key });
  return has;
}
