import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Certificate,
  fromPem,
  type Issuer,
  makeCa as makeCaCertificate,
  makeCaWith,
  parseCertificate,
  toPem,
  verifySignature,
} from '#wire';
import { type Pkcs11Key, publicKeyOfToken, tokenSigner } from './ca-token.ts';
import { FleetError } from './error.ts';

/** The authority that identifies devices. Its key lives in core or in a token, never in a process that faces a network. */
export type DeviceCa = Issuer;

const CA_YEARS = 10;
const NAME = 'Bartizan device CA';
const days = CA_YEARS * 365;

const withKey = (certificate: Certificate, key: KeyObject): DeviceCa => ({
  certificate,
  sign: async (data) => sign('sha256', data, key),
});

function keep(state: string, certificate: Certificate): void {
  writeFileSync(join(state, 'ca.pem'), toPem('CERTIFICATE', certificate.der), { mode: 0o644, flag: 'wx' });
}

function noneYet(state: string): void {
  if (existsSync(join(state, 'ca.key')) || existsSync(join(state, 'ca.pem'))) {
    throw new FleetError('no-ca', 'There is a device CA already. It is never replaced silently.');
  }
}

/** Makes the CA once, in core's private directory (P-256 key 0600, certificate). Refuses if one is there. */
export function makeCa(state: string, now: number): DeviceCa {
  noneYet(state);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = makeCaCertificate(privateKey, { commonName: NAME, days, now });
  keep(state, certificate);
  writeFileSync(join(state, 'ca.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }), {
    mode: 0o600,
    flag: 'wx',
  });
  return withKey(certificate, privateKey);
}

/** Makes the CA's certificate for a key that a token made and keeps. */
export async function makeTokenCa(state: string, key: Pkcs11Key, now: number): Promise<DeviceCa> {
  noneYet(state);
  const spki = await publicKeyOfToken(key);
  const signer = tokenSigner(key, spki);
  const certificate = await makeCaWith(spki, signer, { commonName: NAME, days, now });
  keep(state, certificate);
  return { certificate, sign: signer };
}

/** Loads the CA; throws `no-ca` if it is missing, because a new one would strand every phone. */
export function loadCa(state: string): DeviceCa {
  const certificate = loadCertificate(state);
  try {
    return withKey(certificate, createPrivateKey(readFileSync(join(state, 'ca.key'))));
  } catch (cause) {
    throw new FleetError('no-ca', 'The device CA cannot be read. Restore it from the backup of core.', { cause });
  }
}

/** Loads the CA whose key is in a token, and has it sign once: a token with another key would strand every phone. */
export async function loadTokenCa(state: string, key: Pkcs11Key): Promise<DeviceCa> {
  const certificate = loadCertificate(state);
  const signer = tokenSigner(key, certificate.spki);
  const probe = Buffer.from('bartizan ca probe v1');
  if (!verifySignature(certificate, probe, await signer(probe))) {
    throw new FleetError('no-ca', 'The token’s key is not the one of the device CA. Name the right token and key.');
  }
  return { certificate, sign: signer };
}

function loadCertificate(state: string): Certificate {
  try {
    return parseCertificate(fromPem(readFileSync(join(state, 'ca.pem'), 'utf8')));
  } catch (cause) {
    throw new FleetError('no-ca', 'The device CA cannot be read. Restore it from the backup of core.', { cause });
  }
}
