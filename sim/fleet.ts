import type { Phone } from './phone.ts';

export interface FleetOptions {
  /** Time between two polls of one phone, milliseconds. Default 2000. */
  readonly intervalMs?: number;
  /** Share of the interval that is random, 0 to 1, so that phones do not march in step. Default 0.5. */
  readonly jitter?: number;
  /** Phones talking at once. Default 8. */
  readonly concurrency?: number;
  /** Told of every failed poll or enrolment. */
  readonly onError?: (phone: Phone, error: unknown) => void;
  /** Told when a phone's state may have changed, so that the caller can store it. */
  readonly onChange?: (phone: Phone) => void;
}

export interface FleetNumbers {
  readonly phones: number;
  readonly enrolled: number;
  readonly polls: number;
  /** Polls that a push caused. */
  readonly woken: number;
  readonly commands: number;
  readonly errors: number;
  /** Times executed over all phones, by command uuid. */
  readonly executed: ReadonlyMap<string, number>;
  /** Uuids executed more than once. */
  readonly doubles: readonly string[];
}

/** Many phones that enrol and poll, a bounded number at a time. */
export class PhoneFleet {
  readonly phones: Phone[];
  readonly #options: FleetOptions;
  readonly #waiting: (() => void)[] = [];
  readonly #timers = new Map<NodeJS.Timeout, () => void>();
  #free: number;
  #stopped = true;
  #loops: Promise<void>[] = [];
  #polls = 0;
  #woken = 0;
  readonly #awake = new Set<Phone>();
  readonly #talks = new Set<Promise<void>>();
  #commands = 0;
  #errors = 0;

  constructor(phones: readonly Phone[], options: FleetOptions = {}) {
    this.phones = [...phones];
    this.#options = options;
    this.#free = options.concurrency ?? 8;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }

  async #attempt(phone: Phone, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#errors += 1;
      this.#options.onError?.(phone, error);
    }
    this.#options.onChange?.(phone);
  }

  /** Enrols phone i with link i. Failures go to `onError`; returns how many phones are enrolled now. */
  async enrol(links: readonly string[]): Promise<number> {
    await Promise.all(
      this.phones.map((phone, index) => {
        const link = links[index];
        if (link === undefined || phone.enrolled) return undefined;
        return this.#inTurn(() => this.#attempt(phone, () => phone.enrol(link)));
      }),
    );
    return this.phones.filter((phone) => phone.enrolled).length;
  }

  /** Lets every phone poll once, without waiting for its interval. */
  async pollAll(): Promise<void> {
    await Promise.all(this.phones.map((phone) => this.#poll(phone)));
  }

  #poll(phone: Phone): Promise<void> {
    return this.#inTurn(() => this.#conversation(phone));
  }

  #conversation(phone: Phone): Promise<void> {
    return this.#attempt(phone, async () => {
      this.#polls += 1;
      this.#commands += await phone.poll();
    });
  }

  /**
   * A push arrived: the phone that it is for checks in at once, if the magic is its own. Pushes that arrive while it is about
   * to do so are one.
   */
  wake(pushed: { readonly token: string; readonly magic: string }): void {
    const phone = this.phones.find(
      (one) => Buffer.from(one.state.pushToken, 'base64').toString('hex') === pushed.token,
    );
    if (this.#stopped || phone === undefined || phone.state.pushMagic !== pushed.magic || this.#awake.has(phone))
      return;
    this.#awake.add(phone);
    const talk = this.#inTurn(async () => {
      this.#awake.delete(phone);
      this.#woken += 1;
      await this.#conversation(phone);
    }).then(() => this.#unlockSoon(phone));
    this.#talks.add(talk);
    void talk.then(() => this.#talks.delete(talk));
  }

  /** Somebody picks up a phone that said NotNow: it checks in again by itself. */
  async #unlockSoon(phone: Phone): Promise<void> {
    while (phone.putOff && !this.#stopped) {
      await this.#pause(1_000 + 1_000 * Math.random());
      if (!this.#stopped) await this.#poll(phone);
    }
  }

  /** Starts polling; the first polls are spread over one interval. */
  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#loops = this.phones.map((phone) => this.#loop(phone));
  }

  /** Adds a phone while running. */
  add(phone: Phone): void {
    this.phones.push(phone);
    if (!this.#stopped) this.#loops.push(this.#loop(phone));
  }

  async #loop(phone: Phone): Promise<void> {
    const interval = this.#options.intervalMs ?? 2000;
    const jitter = this.#options.jitter ?? 0.5;
    await this.#pause(interval * Math.random());
    while (!this.#stopped) {
      await this.#poll(phone);
      await this.#unlockSoon(phone);
      await this.#pause(interval * (1 - jitter / 2 + jitter * Math.random()));
    }
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.set(timer, resolve);
    });
  }

  /** Stops polling; resolves when the last conversation has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const [timer, wake] of this.#timers) {
      clearTimeout(timer);
      wake();
    }
    this.#timers.clear();
    await Promise.all([...this.#loops, ...this.#talks]);
    this.#loops = [];
  }

  numbers(): FleetNumbers {
    const executed = new Map<string, number>();
    for (const phone of this.phones) {
      for (const [uuid, { times }] of Object.entries(phone.state.executed)) {
        executed.set(uuid, (executed.get(uuid) ?? 0) + times);
      }
    }
    return {
      phones: this.phones.length,
      enrolled: this.phones.filter((phone) => phone.enrolled).length,
      polls: this.#polls,
      woken: this.#woken,
      commands: this.#commands,
      errors: this.#errors,
      executed,
      doubles: [...executed].filter(([, times]) => times > 1).map(([uuid]) => uuid),
    };
  }
}
