import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { equalBytes, fromBase64url, toBase64url } from '#base';

/**
 * Values that a browser or device carries for us and cannot read or change: AES-256-GCM under a key that edge alone holds,
 * with an end. So nothing personal is stored between the steps of a sign-in, and any worker takes the next step.
 */
export class Box {
  readonly #key: Buffer;
  readonly #persons: Buffer;

  /** `secret`: 32 bytes that all workers of edge share and nobody else has; `second`: another key that is needed to open. */
  constructor(secret: Uint8Array, second: Uint8Array = Buffer.alloc(0)) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, second, 'bartizan account box v1', 32));
    this.#persons = Buffer.from(hkdfSync('sha256', secret, '', 'bartizan account person v1', 32));
  }

  /** `kind` keeps one step's value from being used in another. */
  seal(kind: string, value: object, notAfter: number): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(kind));
    const text = Buffer.from(JSON.stringify({ ...value, notAfter }));
    return toBase64url(Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]));
  }

  /** Undefined for what is not ours, of another kind or over. */
  open<T extends object>(kind: string, sealed: string, now: number): T | undefined {
    if (sealed.length < 40 || sealed.length > 4096) return undefined;
    try {
      const bytes = Buffer.from(fromBase64url(sealed));
      const engine = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12)).setAAD(Buffer.from(kind));
      engine.setAuthTag(bytes.subarray(-16));
      const text = Buffer.concat([engine.update(bytes.subarray(12, -16)), engine.final()]);
      const value = JSON.parse(text.toString('utf8')) as T & { notAfter: number };
      return now <= value.notAfter ? value : undefined;
    } catch {
      return undefined;
    }
  }

  /** What stands for a person in the database: a keyed hash of issuer and subject, the same at every sign-in. */
  person(issuer: string, subject: string): Buffer {
    return createHmac('sha256', this.#persons).update(`${issuer}\n${subject}`).digest();
  }

  /** What ties a sign-in to the browser that began it. */
  tie(cookie: string): string {
    return createHmac('sha256', this.#key).update(`cookie ${cookie}`).digest('base64url');
  }
}

export const sameText = (a: string, b: string): boolean => equalBytes(Buffer.from(a), Buffer.from(b));
