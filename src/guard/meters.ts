import type { Caps, Field } from '#seal';
import { DAY, dayOf, HOUR } from './time.ts';

export interface Charge {
  readonly admin: string;
  readonly field: Field;
  /** Subjects asked for, found or not. */
  readonly count: number;
  readonly at: number;
  /** When, by the guard's own count of running time; absent in old journals. */
  readonly lived?: number;
}

/** What an admin asked for within the last day of running. */
export interface Recent {
  readonly admin: string;
  readonly field: Field;
  readonly count: number;
  /** Milliseconds of running since the newest of them. */
  readonly age: number;
}

/** Which of the limits of a day a field is under. */
export function limitOf(field: Field, caps: Caps): number {
  if (field === 'name') return caps.namesPerDay;
  if (field === 'email') return caps.emailsPerDay;
  if (field === 'unlock-token' || field === 'bootstrap-token') return caps.secretsPerDay;
  return caps.perDay;
}

/**
 * What was read and destroyed, per UTC day. Charging is synchronous: it happens before anything is awaited. Besides, no 24
 * hours of running may see more than twice a day's limit, which two days around midnight never exceed: so a clock that is
 * moved over midnight, however often and with however many restarts, frees at most one more day's worth.
 */
export class Meters {
  #day = 0;
  readonly #byAdmin = new Map<string, { admin: string; field: Field; count: number }>();
  readonly #byField = new Map<Field, number>();
  #window: { admin: string; field: Field; count: number; lived: number }[] = [];
  #destroyed: { count: number; at: number }[] = [];

  /** Why a charge may not be made, or undefined. */
  refusal(charge: Charge, caps: Caps): 'perTouch' | 'perDay' | undefined {
    this.#roll(charge.at);
    if (charge.count > caps.perTouch) return 'perTouch';
    const limit = limitOf(charge.field, caps);
    const spent = this.#byAdmin.get(`${charge.admin}|${charge.field}`)?.count ?? 0;
    if (spent + charge.count > limit) return 'perDay';
    const lived = charge.lived ?? 0;
    const recent = this.#window.reduce(
      (sum, one) =>
        one.admin === charge.admin && one.field === charge.field && one.lived > lived - DAY ? sum + one.count : sum,
      0,
    );
    return recent + charge.count > 2 * limit ? 'perDay' : undefined;
  }

  /** How many different people must sign a charge: one, two above the organisation's day, three above its tenfold. */
  signers(charge: Charge, caps: Caps): 1 | 2 | 3 {
    this.#roll(charge.at);
    const lived = charge.lived ?? 0;
    const day = (this.#byField.get(charge.field) ?? 0) + charge.count;
    const recent =
      charge.count +
      this.#window.reduce(
        (sum, one) => (one.field === charge.field && one.lived > lived - DAY ? sum + one.count : sum),
        0,
      );
    const second = Math.max(caps.orgPerDay, Math.floor(caps.people * 0.005));
    // 5 % of the people; while their number was not declared, the same step above what is free.
    const third = Math.max(10 * caps.orgPerDay, Math.floor(caps.people * 0.05));
    const over = (limit: number) => day > limit || recent > 2 * limit;
    return over(third) ? 3 : over(second) ? 2 : 1;
  }

  charge({ admin, field, count, at, lived }: Charge): void {
    this.#roll(at);
    if (lived !== undefined) {
      this.#window = this.#window.filter((one) => one.lived > lived - DAY);
      this.#window.push({ admin, field, count, lived });
    }
    const key = `${admin}|${field}`;
    const counter = this.#byAdmin.get(key) ?? { admin, field, count: 0 };
    counter.count += count;
    this.#byAdmin.set(key, counter);
    this.#byField.set(field, (this.#byField.get(field) ?? 0) + count);
  }

  /** What the other guard counted within its last day of running, put into this one's count. */
  adopt(recent: Recent, lived: number): void {
    const { admin, field, count, age } = recent;
    this.#window.push({ admin, field, count, lived: lived - age });
  }

  /** Sums of the last day of running, per admin and field. */
  recent(lived: number): readonly Recent[] {
    const sums = new Map<string, Recent>();
    for (const one of this.#window) {
      const { admin, field, count } = one;
      if (one.lived <= lived - DAY) continue;
      const key = `${admin}|${field}`;
      const before = sums.get(key);
      const age = Math.min(before?.age ?? DAY, lived - one.lived);
      sums.set(key, { admin, field, count: (before?.count ?? 0) + count, age });
    }
    return [...sums.values()];
  }

  /** Why so many devices may not be erased now, or undefined. The hour slides; the day is the UTC day. */
  destroyRefusal(count: number, at: number, caps: Caps): 'destroyPerHour' | 'destroyPerDay' | undefined {
    this.#roll(at);
    const since = (from: number) => this.#destroyed.reduce((sum, one) => (one.at > from ? sum + one.count : sum), 0);
    if (since(at - HOUR) + count > caps.destroyPerHour) return 'destroyPerHour';
    if (since(dayOf(at) * DAY - 1) + count > caps.destroyPerDay) return 'destroyPerDay';
    return undefined;
  }

  destroy(one: { readonly count: number; readonly at: number }): void {
    this.#roll(one.at);
    this.#destroyed.push({ count: one.count, at: one.at });
  }

  /** Today's counters per admin and field. */
  counters(now: number): readonly { readonly admin: string; readonly field: Field; readonly count: number }[] {
    this.#roll(now);
    return [...this.#byAdmin.values()].map((counter) => ({ ...counter }));
  }

  #roll(at: number): void {
    if (dayOf(at) <= this.#day) return;
    this.#day = dayOf(at);
    this.#byAdmin.clear();
    this.#byField.clear();
    // The day before is kept as well: the sliding hour reaches over midnight.
    this.#destroyed = this.#destroyed.filter((one) => dayOf(one.at) >= this.#day - 1);
  }
}
