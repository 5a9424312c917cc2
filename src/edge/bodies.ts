import type { IncomingMessage } from 'node:http';

const KIB = 1024;

/** What this process takes in at a time. */
export interface BodyLimits {
  /** Bytes that any request may have; more is large. */
  readonly small: number;
  /** Large bodies at a time. */
  readonly large: number;
  /** Bytes held in all, until their requests are answered. */
  readonly bytes: number;
  /** Milliseconds that a body may take before it must be whole, or as fast as `slowest`. */
  readonly patienceMs: number;
  /** Bytes a second. */
  readonly slowest: number;
}

const BODY_LIMITS: BodyLimits = {
  small: 64 * KIB,
  large: 32,
  bytes: 192 * KIB * KIB,
  patienceMs: 10_000,
  slowest: 16 * KIB,
};

/** Why a body was not taken. */
export type BodyFault = 'too-large' | 'too-busy' | 'too-slow';

/** A body, with its room until `done` is called. */
export interface Body {
  readonly bytes: Uint8Array;
  done(): void;
}

/**
 * The room for bodies. Almost every message of a phone is small; only who shows a certificate of ours may send more, and few
 * at a time. What there is no room for is refused before it is read, and what comes too slowly gives its room back.
 */
export class Bodies {
  readonly #limits: BodyLimits;
  #bytes = 0;
  #large = 0;

  constructor(limits: BodyLimits = BODY_LIMITS) {
    this.#limits = limits;
  }

  /** Bytes held now, and large bodies under way. */
  get held(): { bytes: number; large: number } {
    return { bytes: this.#bytes, large: this.#large };
  }

  /** Reads a body of at most `limit` bytes. `mayBeLarge` is asked once, before the first byte that makes it large is kept. */
  read(request: IncomingMessage, limit: number, mayBeLarge: () => boolean): Promise<Body | BodyFault> {
    const { small, large, bytes: most, patienceMs, slowest } = this.#limits;
    const announced = Number(request.headers['content-length'] ?? 0);
    const parts: Buffer[] = [];
    let size = 0;
    let isLarge = false;
    let given = false;
    const done = () => {
      if (given) return;
      given = true;
      this.#bytes -= size;
      if (isLarge) this.#large -= 1;
    };
    const grow = (to: number): BodyFault | undefined => {
      if (to > limit) return 'too-large';
      if (to <= small || isLarge) return undefined;
      if (!mayBeLarge()) return 'too-large';
      if (this.#large >= large) return 'too-busy';
      isLarge = true;
      this.#large += 1;
      return undefined;
    };
    const fault = grow(announced) ?? (this.#bytes + announced > most ? 'too-busy' : undefined);
    if (fault !== undefined) {
      done();
      return Promise.resolve(fault);
    }
    return new Promise((resolve) => {
      const startedAt = performance.now();
      const timer = setInterval(() => {
        const seconds = (performance.now() - startedAt) / 1_000;
        if (size < small || size / seconds < slowest) end('too-slow');
      }, patienceMs);
      const end = (fault?: BodyFault) => {
        clearInterval(timer);
        request.removeListener('data', take).removeListener('end', whole).removeListener('close', broken);
        if (fault === undefined) return resolve({ bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts), done });
        request.pause();
        done();
        resolve(fault);
      };
      const take = (part: Buffer) => {
        const fault = grow(size + part.length) ?? (this.#bytes + part.length > most ? 'too-busy' : undefined);
        if (fault !== undefined) return end(fault);
        size += part.length;
        this.#bytes += part.length;
        parts.push(part);
      };
      const whole = () => end();
      const broken = () => end('too-slow');
      request.on('data', take).on('end', whole).on('close', broken);
      request.on('error', () => {});
    });
  }
}
