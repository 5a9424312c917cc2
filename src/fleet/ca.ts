import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Certificate, fromPem, makeCa as makeCaCertificate, parseCertificate, toPem } from '#wire';
import { FleetError } from './error.ts';

/** The authority that identifies devices. Its key lives in core, never in a process that faces a network. */
export interface DeviceCa {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

const CA_YEARS = 10;

/** Makes the CA once, in core's private directory (P-256 key 0600, certificate). Refuses if one is there. */
export function makeCa(state: string, now: number): DeviceCa {
  if (existsSync(join(state, 'ca.key'))) {
    throw new FleetError('no-ca', 'There is a device CA already. It is never replaced silently.');
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = makeCaCertificate(privateKey, { commonName: 'Bartizan device CA', days: CA_YEARS * 365, now });
  writeFileSync(join(state, 'ca.pem'), toPem('CERTIFICATE', certificate.der), { mode: 0o644, flag: 'wx' });
  writeFileSync(join(state, 'ca.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }), {
    mode: 0o600,
    flag: 'wx',
  });
  return { certificate, key: privateKey };
}

/** Loads the CA; throws `no-ca` if it is missing, because a new one would strand every phone. */
export function loadCa(state: string): DeviceCa {
  try {
    return {
      certificate: parseCertificate(fromPem(readFileSync(join(state, 'ca.pem'), 'utf8'))),
      key: createPrivateKey(readFileSync(join(state, 'ca.key'))),
    };
  } catch (cause) {
    throw new FleetError('no-ca', 'The device CA cannot be read. Restore it from the backup of core.', { cause });
  }
}
