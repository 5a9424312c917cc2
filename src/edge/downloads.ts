import { setTimeout as sleep } from 'node:timers/promises';

export interface DownloadLimits {
  /** Packages that are on their way at the same time. */
  readonly atOnce: number;
  /** Of all of them together. */
  readonly bytesPerSecond: number;
}

export const DOWNLOAD_LIMITS: DownloadLimits = { atOnce: 24, bytesPerSecond: 32 * 1024 * 1024 };
/** How long a device may wait for its turn; its own patience is about a minute. */
const PATIENCE_MS = 45_000;
const MOST_WAITING = 256;

/**
 * Keeps downloads from crowding out check-ins: so many at once, so many bytes a second, in the order in which they came. One for
 * each worker of edge.
 */
export class Downloads {
  readonly #limits: DownloadLimits;
  readonly #waiting: { go: (turn: boolean) => void }[] = [];
  #running = 0;
  /** When the bytes that were let go so far will have gone, milliseconds. */
  #spentUntil = 0;

  constructor(limits: DownloadLimits = DOWNLOAD_LIMITS) {
    this.#limits = limits;
  }

  /** Takes a place, waiting for one if need be; false if none came free in time. Whoever got one calls `end`. */
  async begin(patienceMs = PATIENCE_MS): Promise<boolean> {
    if (this.#running < this.#limits.atOnce) {
      this.#running += 1;
      return true;
    }
    if (this.#waiting.length >= MOST_WAITING) return false;
    return new Promise((resolve) => {
      const one = {
        go: (turn: boolean) => {
          clearTimeout(timer);
          resolve(turn);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        resolve(false);
      }, patienceMs);
      this.#waiting.push(one);
    });
  }

  /** Gives a place on to whoever waits longest. */
  end(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next.go(true);
  }

  /** Waits until so many bytes more may go. */
  async pace(bytes: number): Promise<void> {
    const now = Date.now();
    const from = Math.max(now, this.#spentUntil);
    this.#spentUntil = from + (bytes / this.#limits.bytesPerSecond) * 1000;
    if (from > now) await sleep(from - now);
  }
}
