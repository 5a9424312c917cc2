import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Certificate, fromPem, makeCa, parseCertificate, type ServerToken, toPem } from '#wire';
import { APPLE_ADE } from './client.ts';

/** Core's files for device assignment: the key that tokens are encrypted to, the token, and where the service is. */
export class AdeFiles {
  readonly #state: string;

  constructor(state: string) {
    this.#state = state;
  }

  /** The address of the service: the operator's file `ade-endpoint`, else Apple's. Never a setting of the console. */
  endpoint(): string {
    const file = join(this.#state, 'ade-endpoint');
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : APPLE_ADE;
  }

  /** The key pair of our server at Apple, or undefined before it was made. */
  key(): { certificate: Certificate; key: KeyObject } | undefined {
    if (!existsSync(join(this.#state, 'ade.key'))) return undefined;
    return {
      certificate: parseCertificate(fromPem(readFileSync(join(this.#state, 'ade.pem'), 'utf8'))),
      key: createPrivateKey(readFileSync(join(this.#state, 'ade.key'))),
    };
  }

  /** Makes it, RSA 2048 as Apple asks, once. The certificate is written first: a key without one is never left. */
  makeKey(now: number): Certificate {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const certificate = makeCa(privateKey, { commonName: 'Bartizan device assignment', days: 3650, now });
    writeFileSync(join(this.#state, 'ade.pem'), toPem('CERTIFICATE', certificate.der), { mode: 0o644 });
    writeFileSync(join(this.#state, 'ade.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }), {
      mode: 0o600,
      flag: 'wx',
    });
    return certificate;
  }

  token(): ServerToken | undefined {
    const file = join(this.#state, 'ade-token.json');
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ServerToken) : undefined;
  }

  keepToken(token: ServerToken): void {
    const file = join(this.#state, 'ade-token.json');
    writeFileSync(`${file}.new`, JSON.stringify(token), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** A token that the operator put there, taken once. */
  takeUpload(): Buffer | undefined {
    const file = join(this.#state, 'ade-token.p7m');
    if (!existsSync(file)) return undefined;
    const bytes = readFileSync(file);
    renameSync(file, `${file}.taken`);
    return bytes;
  }
}
