const HOUR_MS = 3_600_000;
/** Phones that lose their management within an hour without two people's permit; core's own count is the same. */
const MOST = 20;

/** How many phones this process let go in the last hour. A command that is delivered again counts once. */
export class Unenrolments {
  readonly #at = new Map<string, number>();

  /** Whether this command may leave now; `now` in milliseconds. */
  takes(uuid: string, now: number): boolean {
    for (const [id, at] of this.#at) if (at <= now - HOUR_MS) this.#at.delete(id);
    if (this.#at.has(uuid)) return true;
    if (this.#at.size >= MOST) return false;
    this.#at.set(uuid, now);
    return true;
  }
}
