import { EVALUATIONS_PER_HOUR, type Field, SEARCHED, type Searched } from '#seal';
import type { RowChange, Rows } from '../rows.ts';
import { HOUR } from '../time.ts';

/** One question under a grant, as both guards remember it. */
export interface Asked {
  readonly what: 'asked';
  readonly grant: string;
  /** base64url SHA-256 of the canonical grant: another document under its id is not it. */
  readonly sha256: string;
  readonly notAfter: number;
  readonly seq: number;
  /** Names shown or numbers tried, at least one. */
  readonly count: number;
  readonly admin: string;
  readonly field: Searched;
  readonly at: number;
}

export type SearchChange =
  | { readonly what: 'opened'; readonly field: Searched; readonly session: string; readonly until: number }
  | { readonly what: 'closed'; readonly field: Searched }
  | Asked;

export interface Session {
  readonly session: string;
  readonly until: number;
}

type Tried = Pick<Asked, 'grant' | 'sha256' | 'notAfter' | 'seq' | 'count'>;

/** What a guard remembers of searches: what is open, what each grant was used for, how often each admin tried numbers. */
export class Searches {
  /** Told when what is open closes, in the same turn. */
  onClosed: ((field: Searched) => void) | undefined;
  readonly #sessions = new Map<Searched, Session>();
  readonly #grants = new Map<string, Tried>();
  #evaluations: { readonly admin: string; readonly at: number }[] = [];
  /** Whose value of a field was settled or went away, in order; the place in this list is what the sealer goes on from. */
  readonly #feed: { readonly [field in Searched]: string[] } = { name: [], number: [] };

  apply(change: SearchChange): void {
    switch (change.what) {
      case 'opened':
        this.#sessions.set(change.field, { session: change.session, until: change.until });
        break;
      case 'closed':
        this.close(change.field);
        break;
      case 'asked': {
        const { grant, sha256, notAfter, seq, count, admin, field, at } = change;
        if (field === 'number') this.#evaluations.push({ admin, at });
        if (grant === '') break;
        const before = this.#grants.get(grant)?.count ?? 0;
        this.#grants.set(grant, { grant, sha256, notAfter, seq, count: before + count });
        break;
      }
      default:
        change satisfies never;
    }
  }

  /** What was settled or forgotten; called with each change of rows. */
  see(change: RowChange): void {
    if (change.what === 'settled') for (const [subject, field] of change.rows) this.#changed(subject, field);
    if (change.what === 'left')
      for (const subject of change.subjects) for (const field of SEARCHED) this.#changed(subject, field);
  }

  #changed(subject: string, field: Field): void {
    if (field === 'name' || field === 'number') this.#feed[field].push(subject);
  }

  close(field: Searched): void {
    if (this.#sessions.delete(field)) this.onClosed?.(field);
  }

  /** What is open now; one whose time is over closes here. */
  open(field: Searched, now: number): Session | undefined {
    const session = this.#sessions.get(field);
    if (session !== undefined && session.until <= now) this.close(field);
    return this.#sessions.get(field);
  }

  grant(id: string): Tried | undefined {
    return this.#grants.get(id);
  }

  /** How many numbers this admin may still try within the hour. */
  evaluationsLeft(admin: string, now: number): number {
    this.#evaluations = this.#evaluations.filter(({ at }) => at > now - HOUR);
    return EVALUATIONS_PER_HOUR - this.#evaluations.filter((one) => one.admin === admin).length;
  }

  /** Present versions of those who changed since, 0 for who has gone. One `part` at a time; `next` continues. */
  feed(rows: Rows, field: Searched, after: number, part: number) {
    const changed = this.#feed[field].slice(after, after + part);
    const next = after + changed.length;
    const changes = [...new Set(changed)].map((subject) => [subject, rows.version(subject, field) ?? 0] as const);
    return { changes, next, more: next < this.#feed[field].length };
  }

  /** What the other guard needs to know again after a restart. */
  spent(now: number): Asked[] {
    this.prune(now);
    const grants = [...this.#grants.values()].map(
      (one): Asked => ({ what: 'asked', ...one, admin: '', field: 'name', at: now }),
    );
    const tried = this.#evaluations.map(
      ({ admin, at }): Asked => ({
        ...{ what: 'asked', grant: '', sha256: '', notAfter: 0, seq: 0, count: 0, admin, field: 'number', at },
      }),
    );
    return [...grants, ...tried];
  }

  prune(now: number): void {
    for (const [id, { notAfter }] of this.#grants) if (notAfter < now) this.#grants.delete(id);
    this.#evaluations = this.#evaluations.filter(({ at }) => at > now - HOUR);
  }
}
