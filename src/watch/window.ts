/** One event in a window: when, and what it counts for. */
export interface Member {
  readonly time: number;
  readonly value: string | number;
}

/** Members kept per window; conditions compare with far smaller numbers. Beyond it the oldest go first. */
const MOST = 4_096;

/**
 * A sliding window of event time. Keeps count, sum and distinct values as it goes, so that a flood of events costs the
 * same for each of them. An event that comes late is put where it belongs; a clock that steps back makes nobody wait.
 */
export class Window {
  readonly #span: number;
  #members: Member[] = [];
  #head = 0;
  #sum = 0;
  readonly #values = new Map<string | number, number>();

  /** `span` in milliseconds: members are younger than that. */
  constructor(span: number) {
    this.#span = span;
  }

  add(member: Member): void {
    this.#dropUntil(member.time - this.#span);
    let at = this.#members.length;
    while (at > this.#head && this.#members[at - 1]!.time > member.time) at -= 1;
    if (at === this.#members.length) this.#members.push(member);
    else this.#members.splice(at, 0, member);
    this.#sum += weight(member.value);
    this.#values.set(member.value, (this.#values.get(member.value) ?? 0) + 1);
    while (this.count > MOST) this.#drop();
  }

  get count(): number {
    return this.#members.length - this.#head;
  }

  get sum(): number {
    return this.#sum;
  }

  get distinct(): number {
    return this.#values.size;
  }

  /** Time of the oldest member. */
  get start(): number {
    return this.#members[this.#head]!.time;
  }

  #dropUntil(time: number): void {
    while (this.#head < this.#members.length && this.#members[this.#head]!.time <= time) this.#drop();
  }

  #drop(): void {
    const { value } = this.#members[this.#head]!;
    this.#head += 1;
    this.#sum -= weight(value);
    const left = this.#values.get(value)! - 1;
    if (left === 0) this.#values.delete(value);
    else this.#values.set(value, left);
    if (this.#head > 512 && this.#head * 2 > this.#members.length) {
      this.#members = this.#members.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** What a value adds to a sum: whole and not negative, so that no event can make up for another. */
function weight(value: string | number): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : 0;
}
