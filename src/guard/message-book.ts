import { DAY, HOUR } from './time.ts';

/** Why a message may go: one person's touch, two people's over a list, or a rule. Each has a budget of its own. */
export type Lane = 'single' | 'notice' | 'auto';

/** Addresses that may be opened to courier, all admins together. A retry opens, and counts, again. */
export const MESSAGE_BUDGETS: { readonly [lane in Lane]: { readonly count: number; readonly within: number } } = {
  single: { count: 60, within: HOUR },
  notice: { count: 15_000, within: DAY },
  auto: { count: 5, within: HOUR },
};
/** How often one document opens the same person's address: the first time and for retries. */
const OPENINGS = 8;

/** Addresses that were opened to courier under one document. */
export interface Opening {
  readonly lane: Lane;
  readonly id: string;
  readonly sha256: string;
  readonly notAfter: number;
  readonly subjects: readonly string[];
  readonly at: number;
}

interface Used {
  readonly sha256: string;
  readonly notAfter: number;
  readonly times: Map<string, number>;
}

/** What courier was given, as far as limits need it. */
export class MessageBook {
  readonly #used = new Map<string, Used>();
  #recent: Opening[] = [];

  apply(opening: Opening): void {
    const { id, sha256, notAfter, subjects } = opening;
    const used = this.#used.get(id) ?? { sha256, notAfter, times: new Map<string, number>() };
    for (const subject of subjects) used.times.set(subject, (used.times.get(subject) ?? 0) + 1);
    this.#used.set(id, used);
    this.#recent.push(opening);
  }

  /** Why these addresses may not be opened, or undefined. */
  refusal(opening: Opening): 'used' | 'messages' | undefined {
    const used = this.#used.get(opening.id);
    if (used !== undefined && used.sha256 !== opening.sha256) return 'used';
    if (opening.subjects.some((subject) => (used?.times.get(subject) ?? 0) >= OPENINGS)) return 'used';
    const { count, within } = MESSAGE_BUDGETS[opening.lane];
    const spent = this.#recent
      .filter((one) => one.lane === opening.lane && one.at > opening.at - within)
      .reduce((sum, one) => sum + one.subjects.length, 0);
    return spent + opening.subjects.length > count ? 'messages' : undefined;
  }

  /** What still limits something: the other guard rebuilds its memory from it. */
  recent(now: number): readonly Opening[] {
    this.prune(now);
    return this.#recent;
  }

  prune(now: number): void {
    this.#recent = this.#recent.filter((one) => one.at > now - DAY || one.notAfter >= now);
    for (const [id, { notAfter }] of this.#used) if (notAfter < now) this.#used.delete(id);
  }
}
