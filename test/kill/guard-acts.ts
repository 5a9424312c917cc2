import type { Assertion, Field, Grant, SealedRow } from '#seal';
import type { Dice } from '../fuzz/dice.ts';
import { ADMINS, type Guards, newBrowser, person, touch } from '../spec/guards/fixture.ts';

/** One touch, and what came of it. */
export interface Touched {
  readonly grant: Grant;
  readonly assertion: Assertion;
  readonly rows: readonly SealedRow[];
  /** Answers with records in them. */
  answers: number;
  records: number;
}

/** Refusals that a guard may give, and what a caller sees of one that just died. */
const EXPECTED = new Set(['cap', 'used', 'locked', 'unavailable', 'unreachable', 'dropped', 'timeout', 'two-people']);
const READ: readonly Field[] = ['number', 'number', 'email'];
const PEOPLE = 40;

/** What callers do while guards die: read, settle, lock, lift, and say again what was said before. Remembers every answer. */
export class GuardActs {
  readonly touched: Touched[] = [];
  readonly settled = new Map<string, { row: SealedRow; value: string }>();
  /** Locks that a guard answered for, by target. */
  readonly locked: { readonly [guard in 'ledger' | 'sealer']: Set<string> } = { ledger: new Set(), sealer: new Set() };
  readonly odd: string[] = [];
  readonly refused: Record<string, number> = {};
  readonly #guards: Guards;
  readonly #dice: Dice;
  #stop = false;
  #workers: Promise<void>[] = [];
  #next = 0;

  constructor(guards: Guards, dice: Dice) {
    this.#guards = guards;
    this.#dice = dice;
  }

  start(workers: number): void {
    this.#stop = false;
    this.#workers = Array.from({ length: workers }, () => this.#work());
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    while (!this.#stop) {
      const which = this.#dice.below(20);
      try {
        if (which < 11) await this.read();
        else if (which < 15) await this.settle();
        else if (which < 18) await this.lock();
        else await this.replay();
      } catch (error) {
        const code = (error as { code?: string }).code ?? String(error);
        this.refused[code] = (this.refused[code] ?? 0) + 1;
        if (!EXPECTED.has(code)) this.odd.push(`${code}: ${String(error)}`);
      }
      // Something always waits for a disk or a guard; the machine has other things to do as well.
      await new Promise((resolve) => setTimeout(resolve, 1 + this.#dice.below(8)));
    }
  }

  async settle(n = this.#next++ % PEOPLE): Promise<void> {
    const [field, value] = [this.#dice.pick(READ), `+44770090${String(1000 + this.#dice.below(1000)).slice(1)}`];
    const subject = person(n);
    if (this.settled.has(`${subject}|${field}`)) return;
    const [row] = await this.#guards.settle({ [subject]: value }, field);
    if (row !== undefined) this.settled.set(`${subject}|${field}`, { row, value });
  }

  async read(by = this.#dice.below(3)): Promise<Touched> {
    const field = this.#dice.pick(READ);
    const have = [...this.settled.values()].filter(({ row }) => row.field === field);
    const first = this.#dice.below(Math.max(1, have.length));
    const rows = have.slice(first, first + 1 + this.#dice.below(3)).map(({ row }) => row);
    const subjects = rows.length === 0 ? [person(0)] : rows.map(({ subject }) => subject);
    const browser = newBrowser();
    const grant = this.#guards.grant(browser, subjects, { admin: ADMINS[by]!, field });
    const one: Touched = { grant, assertion: touch(this.#guards.passkey(by), grant), rows, answers: 0, records: 0 };
    this.touched.push(one);
    await this.send(one, browser);
    return one;
  }

  /** Sends a touch, for the first time or again. */
  async send(one: Touched, browser?: ReturnType<typeof newBrowser>): Promise<void> {
    const { grant, assertion, rows } = one;
    const glass = this.#guards.client('sealer', 'glass');
    try {
      if (browser === undefined) {
        await glass.call('reveal', { grant, assertion, rows });
        one.answers += 1;
        return;
      }
      const values = await this.#guards.send(glass, browser, grant, assertion, rows);
      for (const [subject, value] of Object.entries(values))
        if (this.settled.get(`${subject}|${grant.field}`)?.value !== value) this.odd.push('a value is another one');
      one.answers += 1;
      one.records += Object.keys(values).length;
    } finally {
      glass.close();
    }
  }

  async replay(): Promise<void> {
    if (this.touched.length === 0) return;
    const one = this.#dice.pick(this.touched);
    if (this.#dice.once(2)) return this.send(one);
    const sealer = this.#guards.client('ledger', 'sealer');
    try {
      const { grant, assertion, rows } = one;
      await sealer.call('open', { grant, assertion, rows });
      one.answers += 1;
    } finally {
      sealer.close();
    }
  }

  async lock(): Promise<void> {
    const target = `admin-x${this.#next++}`;
    for (const guard of ['ledger', 'sealer'] as const) {
      const core = guard === 'ledger' ? this.#guards.client('ledger', 'core') : this.#guards.client('sealer', 'core');
      try {
        await core.call('lock', { scope: 'admin', target, reason: 'a test' });
        this.locked[guard].add(target);
      } finally {
        core.close();
      }
    }
    if (!this.#dice.once(3)) return;
    // Whether a lift that broke off counts is not known: such a target is looked at no more.
    this.locked.ledger.delete(target);
    this.locked.sealer.delete(target);
    await this.#guards.lift('admin', target, [0, 1]);
  }
}
