import type { Person } from '../../src/run/person.ts';
import type { Dice } from '../fuzz/dice.ts';
import { configuration, hurryRenewals, Rollouts } from './slow-work.ts';
import type { World } from './world.ts';

const READS = [
  'DeviceInformation',
  'SecurityInfo',
  'ProfileList',
  'CertificateList',
  'InstalledApplicationList',
] as const;
/** One person may lock five phones an hour; more would wait for two. */
const MOST_LOCKS = 10;
const MOST_AT_ONCE = 12;

/** What people do while processes die. Whatever the console took is remembered; what broke off may or may not have happened. */
export class Acts {
  /** Intents that were taken, and those of them that somebody may have taken back. */
  readonly taken = new Set<string>();
  readonly cancelled = new Set<string>();
  readonly #held = new Set<string>();
  readonly counts: Record<string, number> = {};
  readonly rollouts: Rollouts;
  readonly #world: World;
  readonly #dice: Dice;
  readonly #work = new Set<Promise<void>>();
  #locks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(world: World, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
    this.rollouts = new Rollouts(world);
  }

  /** Begins one thing and does not wait for it. */
  begin(): void {
    const [name, act] = this.#dice.pick(this.#choices());
    const work = act()
      .then((done) => {
        if (done) this.counts[name] = (this.counts[name] ?? 0) + 1;
      })
      .catch(() => {});
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  /** Something new every so often, until `stop`. */
  start(everyMs: number): void {
    this.#timer = setInterval(() => {
      if (this.#work.size < MOST_AT_ONCE && this.#dice.once(2)) this.begin();
    }, everyMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#work);
  }

  #choices(): readonly (readonly [string, () => Promise<boolean>])[] {
    return [
      ['single', () => this.#read(this.#some(1 + this.#dice.below(5)))],
      ['single', () => this.#read(this.#some(1 + this.#dice.below(5)))],
      ['fan-out', () => this.#read(this.#dice.once(3) ? 'all' : this.#most())],
      ['fan-outs in a row', () => this.#row()],
      ['install', () => this.#profile('InstallProfile')],
      ['remove', () => this.#profile('RemoveProfile')],
      ['hold', () => this.#hold()],
      ['hold', () => this.#hold()],
      ['release', () => this.#release()],
      ['cancel', () => this.#cancel()],
      ['cancel all', () => (this.#dice.once(4) ? this.#sweep() : this.#cancel())],
      ['lock', () => this.#lock()],
      ['renewal', () => hurryRenewals(this.#world, this.#dice)],
      ['rollout', () => this.rollouts.push()],
      ['rollout', () => this.rollouts.push()],
    ];
  }

  get #person(): Person {
    return this.#dice.pick(this.#world.people);
  }

  #some(n: number): string[] {
    const all = [...this.#world.witnesses.keys()];
    return Array.from({ length: n }, () =>
      this.#dice.once(3) ? this.#dice.pick(this.#world.whole) : this.#dice.pick(all),
    );
  }

  /** More than a hundred, so that it becomes a fan-out; another part of the fleet each time. */
  #most(): string[] {
    const all = [...this.#world.witnesses.keys()];
    const share = 50 + this.#dice.below(50);
    const some = all.filter(() => this.#dice.below(100) < share);
    return some.length > 100 ? some : all;
  }

  async #state(verb: string, devices: readonly string[] | 'all', params: object = {}): Promise<boolean> {
    const purpose = 'a test of kills';
    const answer = await this.#person.call('POST', '/api/intents', { verb, devices, params, purpose });
    if (answer.status !== 200) return false;
    this.taken.add(String(answer.body['id']));
    return true;
  }

  #read(devices: readonly string[] | 'all', verb: string = this.#dice.pick(READS)): Promise<boolean> {
    return this.#state(verb, devices);
  }

  /** The same question three times in a row to overlapping parts of the fleet. */
  async #row(): Promise<boolean> {
    const verb = this.#dice.pick(READS);
    const done = await Promise.all([
      this.#read(this.#most(), verb),
      this.#read('all', verb),
      this.#read(this.#most(), verb),
    ]);
    return done.some(Boolean);
  }

  #profile(verb: 'InstallProfile' | 'RemoveProfile'): Promise<boolean> {
    const identifier = `org.example.kill.${this.#dice.below(3)}`;
    const devices = this.#dice.once(2) ? this.#most() : this.#some(4);
    const profile = configuration(identifier, `wish ${this.#dice.next()}`);
    return this.#state(verb, devices, verb === 'InstallProfile' ? { profile } : { identifier });
  }

  async #lock(): Promise<boolean> {
    if (this.#locks >= MOST_LOCKS) return this.#read(this.#some(1));
    this.#locks += 1;
    return this.#state('DeviceLock', [this.#dice.pick(this.#world.whole)]);
  }

  #recent(): string | undefined {
    const recent = [...this.taken].slice(-12);
    return recent.length === 0 ? undefined : this.#dice.pick(recent);
  }

  async #hold(): Promise<boolean> {
    const id = this.#recent();
    if (id === undefined) return false;
    // Noted before it is known: the answer may be lost although it is held.
    this.#held.add(id);
    return (await this.#person.call('POST', `/api/intents/${id}/hold`, { why: 'a test of kills' })).status === 200;
  }

  async #release(): Promise<boolean> {
    const held = [...this.#held];
    if (held.length === 0) return false;
    return this.#letGo(this.#dice.pick(held));
  }

  async #letGo(id: string): Promise<boolean> {
    const { status } = await this.#person.call('POST', `/api/intents/${id}/release`, {});
    if (status < 300 || status === 409) this.#held.delete(id);
    return status < 300;
  }

  async #cancel(): Promise<boolean> {
    const id = this.#recent();
    if (id === undefined) return false;
    this.cancelled.add(id);
    return (await this.#person.call('POST', `/api/intents/${id}/cancel`, {})).status < 300;
  }

  async #sweep(): Promise<boolean> {
    for (const id of this.taken) this.cancelled.add(id);
    return (await this.#person.call('POST', '/api/intents/cancel', { verb: this.#dice.pick(READS) })).status < 300;
  }

  /** Releases what is still held. Throws if that is impossible. */
  async letEverythingGo(): Promise<void> {
    for (let tries = 0; this.#held.size > 0; tries += 1) {
      for (const id of this.#held) await this.#letGo(id).catch(() => {});
      if (tries > 20) throw new Error('what is held cannot be released');
    }
  }
}
