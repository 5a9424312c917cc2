import type { Caps, Field } from '#seal';
import { DAY, dayOf, HOUR } from './time.ts';

export interface Charge {
  readonly admin: string;
  readonly field: Field;
  /** Subjects asked for, found or not. */
  readonly count: number;
  readonly at: number;
}

/** What was read and destroyed, per UTC day. Charging is synchronous: it happens before anything is awaited. */
export class Meters {
  #day = 0;
  readonly #byAdmin = new Map<string, { admin: string; field: Field; count: number }>();
  readonly #byField = new Map<Field, number>();
  #destroyed: { count: number; at: number }[] = [];

  /** Why a charge may not be made, or undefined. */
  refusal(charge: Charge, caps: Caps): 'perTouch' | 'perDay' | 'orgPerDay' | undefined {
    this.#roll(charge.at);
    if (charge.count > caps.perTouch) return 'perTouch';
    const limit = charge.field === 'name' ? caps.namesPerDay : caps.perDay;
    const spent = this.#byAdmin.get(`${charge.admin}|${charge.field}`)?.count ?? 0;
    if (spent + charge.count > limit) return 'perDay';
    if ((this.#byField.get(charge.field) ?? 0) + charge.count > caps.orgPerDay) return 'orgPerDay';
    return undefined;
  }

  charge({ admin, field, count, at }: Charge): void {
    this.#roll(at);
    if (dayOf(at) < this.#day) return;
    const key = `${admin}|${field}`;
    const counter = this.#byAdmin.get(key) ?? { admin, field, count: 0 };
    counter.count += count;
    this.#byAdmin.set(key, counter);
    this.#byField.set(field, (this.#byField.get(field) ?? 0) + count);
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
