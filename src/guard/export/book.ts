import { DAY } from '../time.ts';

/** Files of people that are begun within a day, and people in them, over all administrators. A budget of its own. */
export const EXPORTS_PER_DAY = 3;
export const EXPORTED_PER_DAY = 50_000;

/** An export as it was charged: in full, before anything was opened, whatever became of it. */
export interface ExportCharge {
  readonly id: string;
  readonly people: number;
  readonly at: number;
  /** By the guard's own count of running time. */
  readonly lived: number;
}

/**
 * What a guard remembers of exports. A charge counts for a day of the clock and for a day of running, whichever is longer: a
 * clock that is moved frees nothing.
 */
export class ExportBook {
  readonly #made = new Map<string, ExportCharge>();

  apply(charge: ExportCharge): void {
    // The other guard tells of it again after a restart.
    if (!this.#made.has(charge.id)) this.#made.set(charge.id, charge);
  }

  /** Why so many people may not be exported now, or undefined. */
  refusal({ people, at, lived }: Omit<ExportCharge, 'id'>): 'exportsPerDay' | 'exportedPerDay' | undefined {
    const recent = this.recent(at, lived);
    if (recent.length >= EXPORTS_PER_DAY) return 'exportsPerDay';
    const spent = recent.reduce((sum, one) => sum + one.people, 0);
    return spent + people > EXPORTED_PER_DAY ? 'exportedPerDay' : undefined;
  }

  /** What still counts. */
  recent(at: number, lived: number): readonly ExportCharge[] {
    return [...this.#made.values()].filter((one) => one.at > at - DAY || one.lived > lived - DAY);
  }
}
