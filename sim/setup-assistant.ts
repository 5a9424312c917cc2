import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Certificate, issueCertificate, makeCa } from '#wire';
import { signCms } from './cms.ts';
import type { Answer } from './http.ts';
import type { Phone } from './phone.ts';
import { PhoneError } from './phone-options.ts';
import { encodePlist } from './plist.ts';

/** Plays Apple's device authority: what gives every phone the identity it signs MachineInfo with. */
export class DeviceAuthority {
  readonly certificate: Certificate;
  readonly #key: KeyObject;

  constructor(now = Date.now()) {
    this.#key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    this.certificate = makeCa(this.#key, { commonName: 'Simulated device authority', days: 3650, now });
  }

  /** Identity of one device: PKCS#8 PEM and certificate. */
  identity(udid: string): { readonly key: KeyObject; readonly certificate: Buffer } {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
    const issued = issueCertificate(
      { certificate: this.certificate, key: this.#key },
      { spki, commonName: udid.slice(0, 64), days: 365, usage: 'device', now: Date.now() },
    );
    return {
      key: createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })),
      certificate: Buffer.from(issued.der),
    };
  }
}

export interface SetupOptions {
  readonly identity: ReturnType<DeviceAuthority['identity']>;
  readonly canUpdate?: boolean;
  /** Asks by GET with `?deviceinfo=` instead of POST. */
  readonly byQuery?: boolean;
}

/** Setup Assistant of a device that Apple assigned: asks `url` for the profile and enrols with it. Throws PhoneError. */
export async function setUp(phone: Phone, url: string, options: SetupOptions): Promise<void> {
  const answer = await askProfile(phone, url, options);
  if (answer.status !== 200) {
    throw new PhoneError(`setup was refused: ${answer.body.toString('utf8').slice(0, 300)}`, answer.status);
  }
  await phone.install(answer.body);
}

function askProfile(phone: Phone, url: string, options: SetupOptions): Promise<Answer> {
  const { state } = phone;
  const info = encodePlist({
    UDID: state.udid,
    SERIAL: state.serial,
    PRODUCT: state.productName,
    VERSION: state.buildVersion,
    OS_VERSION: state.osVersion,
    LANGUAGE: 'en-GB',
    MDM_CAN_REQUEST_SOFTWARE_UPDATE: options.canUpdate ?? true,
  });
  const body = signCms(info, { ...options.identity, digest: 'sha1', attached: true });
  if (options.byQuery) return phone.options.send('GET', `${url}?deviceinfo=${body.toString('base64url')}`);
  return phone.options.send('POST', url, { body, headers: { 'content-type': 'application/pkcs7-signature' } });
}
