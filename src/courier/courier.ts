import type { KeyObject } from 'node:crypto';
import type { Logger, Sealed } from '#base';
import {
  type Assertion,
  type Channel,
  type GuardClient,
  GuardError,
  type MessageText,
  type Ordered,
  parseAssertion,
  parseOrdered,
  SealError,
  type SealedRow,
} from '#seal';
import { Breaker } from './breaker.ts';
import { mailGateway } from './mail.ts';
import { openAddresses, openBox, rowOf, textOf } from './open.ts';
import type { Gateway, Outcome } from './outcome.ts';
import type { Queue, Taken } from './queue.ts';
import { type CourierSettings, channelsOf, repeatable } from './settings.ts';
import { Shadow } from './shadow.ts';
import { smsGateway } from './sms.ts';

const BATCH = 25;
const LANES = 5;
/** Pauses before the next tries, seconds. Each try has the address opened anew, which counts and is written down. */
const PAUSES = [5, 30, 120, 600, 1_800, 3_600, 7_200];
/** What a guard says that may be otherwise later. */
const LATER: Readonly<Record<string, number>> = { cap: 300, locked: 60, unavailable: 5, internal: 30 };
const UNHEARD = ['unreachable', 'timeout', 'dropped'];

/** Works on a few at a time: one slow answer does not hold up all. */
async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** What courier works with: its own socket of the sealer, its own key, its own functions of the database. */
export interface CourierDoors {
  readonly queue: Queue;
  readonly sealer: GuardClient;
  readonly key: KeyObject;
  readonly ledgerKey: string;
  readonly organisation: string;
  readonly log: Logger;
}

/** Takes messages from the queue, has their addresses opened, hands them to gateways. Holds no address between two steps. */
export class Courier {
  readonly #doors: CourierDoors;
  readonly #shadow = new Shadow();
  readonly #breaker = new Breaker();
  #gateways = new Map<Channel, Gateway>();
  #settings: CourierSettings = {};

  constructor(doors: CourierDoors) {
    this.#doors = doors;
  }

  /** What an earlier run left is taken up, as far as nothing can be sent twice. */
  async start(settings: CourierSettings): Promise<void> {
    this.#take(settings);
    await this.#doors.queue.started(channelsOf(settings), repeatable(settings));
  }

  /** Other gateways from the next message on. */
  async change(settings: CourierSettings): Promise<void> {
    this.#take(settings);
    await this.#doors.queue.stands(channelsOf(settings));
  }

  #take(settings: CourierSettings): void {
    this.close();
    this.#settings = settings;
    this.#breaker.reset();
    this.#gateways = new Map<Channel, Gateway>([
      ...(settings.sms === undefined ? [] : [['sms', smsGateway(settings.sms)] as const]),
      ...(settings.mail === undefined ? [] : [['email', mailGateway(settings.mail)] as const]),
    ]);
  }

  close(): void {
    for (const gateway of this.#gateways.values()) gateway.close();
  }

  /** One round. Returns how many messages were dealt with. */
  async step(): Promise<number> {
    const { queue } = this.#doors;
    await queue.expand();
    if (this.#gateways.size === 0) return 0;
    const channels = this.#breaker.open(channelsOf(this.#settings));
    if (channels.length === 0) return 0;
    const taken = await queue.take(channels, this.#breaker.most(channels, BATCH));
    const notice = taken[0]?.notice_id;
    if (notice === null) await inLanes(taken, (one) => this.#single(one));
    else if (notice !== undefined) await this.#part(notice, taken);
    return taken.length;
  }

  async #single(taken: Taken): Promise<void> {
    const { queue, key, organisation } = this.#doors;
    let message: Ordered;
    let assertions: Assertion[];
    let text: MessageText | undefined;
    try {
      message = parseOrdered(taken.document);
      assertions = taken.assertion === null ? [] : [parseAssertion(taken.assertion)];
      const variables =
        message.op === 'send' ? openBox(key, taken.box ?? Buffer.alloc(0), message.id) : message.variables;
      text = textOf(message, organisation, variables);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      return queue.finish(taken.id, 'refused', 'not-understood');
    }
    if (text === undefined) return queue.finish(taken.id, 'refused', 'text-differs');
    await this.#deliver(message, assertions, text, [taken]);
  }

  async #part(id: string, taken: readonly Taken[]): Promise<void> {
    const { queue, organisation } = this.#doors;
    const found = await queue.notice(id).catch((error: unknown) => {
      if (!(error instanceof SealError)) throw error;
    });
    const text = found === undefined ? undefined : textOf(found.notice, organisation, found.notice.variables);
    if (found === undefined || text === undefined) {
      for (const one of taken) await queue.finish(one.id, 'refused', 'text-differs');
      return;
    }
    await this.#deliver(found.notice, found.assertions, text, taken);
  }

  async #deliver(
    message: Ordered,
    assertions: readonly Assertion[],
    text: MessageText,
    taken: readonly Taken[],
  ): Promise<void> {
    const { queue } = this.#doors;
    const rows: SealedRow[] = [];
    const ready: Taken[] = [];
    for (const one of taken) {
      const row = rowOf(one);
      if (row === undefined) await queue.finish(one.id, 'failed', 'nothing-stored');
      else {
        rows.push(row);
        ready.push(one);
      }
    }
    if (rows.length === 0) return;
    let opened: Awaited<ReturnType<typeof openAddresses>>;
    try {
      opened = await openAddresses(this.#doors, message, assertions, rows);
    } catch (error) {
      for (const one of ready) await this.#refused(one, error);
      return;
    }
    await inLanes(ready, async (one) => {
      const to = opened.addresses.get(one.subject);
      if (to === undefined) await queue.finish(one.id, 'failed', 'does-not-open');
      else await this.#send(one, to, text, opened.silent.has(one.subject));
    });
  }

  async #send(one: Taken, to: Sealed<string>, text: MessageText, silent: boolean): Promise<void> {
    const { queue } = this.#doors;
    const gateway = this.#gateways.get(one.channel);
    if (gateway === undefined) return queue.again(one.id, 'no-gateway', 60);
    if (!(await queue.sending(one.id))) return;
    const began = performance.now();
    const outcome = silent ? await this.#shadow.play() : await gateway.send(to, text, one.id);
    if (!silent) {
      this.#shadow.saw(performance.now() - began, outcome);
      this.#breaker.saw(one.channel, outcome);
    }
    await this.#end(one, outcome);
  }

  async #end(one: Taken, outcome: Outcome): Promise<void> {
    const { queue, log } = this.#doors;
    if (outcome.end === 'sent') return queue.finish(one.id, 'sent', null);
    log.warn('a message was not sent', { code: outcome.reason, attempts: one.attempts });
    if (outcome.end !== 'again') return queue.finish(one.id, outcome.end, outcome.reason);
    const pause = PAUSES[one.attempts - 1];
    if (pause === undefined) return queue.finish(one.id, 'failed', outcome.reason);
    return queue.again(one.id, outcome.reason, Math.max(pause, outcome.afterSeconds ?? 0));
  }

  async #refused(one: Taken, error: unknown): Promise<void> {
    const { queue, log } = this.#doors;
    const code = error instanceof GuardError ? error.code : 'internal';
    if (!(error instanceof GuardError)) log.error('the guards’ answer could not be used', error);
    const later = UNHEARD.includes(code) ? 5 : LATER[code];
    if (later === undefined) return queue.finish(one.id, 'refused', code.slice(0, 40));
    return queue.again(one.id, `guards-${code}`, later);
  }
}
