import { setTimeout as sleep } from 'node:timers/promises';
import type { Send } from '#sim';
import { signCms, writePlist } from '#wire';
import type { BenchDevice } from '../../bench/devices.ts';
import type { Dice } from '../fuzz/dice.ts';
import { commandOf, Witness } from './witness.ts';

/** How a lean phone behaves: once in so many commands; 0 is never. */
export interface Manners {
  readonly notNow: number;
  readonly error: number;
  /** Takes its time before it answers, so that something can die meanwhile. */
  readonly slow: number;
}

export const CALM: Manners = { notNow: 0, error: 0, slow: 0 };
const SLOW_MS = 3_000;

/** A phone that does nothing but talk, signed, so that thousands fit into one process. */
export class LeanPhone {
  readonly device: BenchDevice;
  readonly witness = new Witness();
  readonly #send: Send;
  readonly #url: string;

  constructor(device: BenchDevice, url: string, send: Send) {
    this.device = device;
    this.#url = url;
    this.#send = send;
  }

  /** One conversation, until there is no more or the line breaks. Returns how many commands it was given. */
  async poll(manners: Manners, dice: Dice): Promise<number> {
    let given = 0;
    let answer = await this.#say('Idle');
    for (;;) {
      const command = answer === undefined ? undefined : commandOf(answer);
      if (command === undefined) return given;
      given += 1;
      this.witness.received(command.uuid, command.verb);
      if (manners.slow > 0 && dice.once(manners.slow)) await sleep(dice.below(SLOW_MS));
      if (manners.notNow > 0 && dice.once(manners.notNow)) {
        this.witness.later(command.uuid);
        answer = await this.#say('NotNow', command.uuid);
        continue;
      }
      const status = manners.error > 0 && dice.once(manners.error) ? 'Error' : 'Acknowledged';
      this.witness.carriedOut(command.uuid);
      answer = await this.#say(status, command.uuid);
      if (answer !== undefined) this.witness.taken(command.uuid, status);
    }
  }

  async #say(status: string, command?: string): Promise<Buffer | undefined> {
    const errors = [{ ErrorCode: 1000, ErrorDomain: 'MCProfileErrorDomain', LocalizedDescription: 'an error' }];
    const body = writePlist({
      ...(command === undefined ? {} : { CommandUUID: command }),
      ...(status === 'Error' ? { ErrorChain: errors } : {}),
      Status: status,
      UDID: this.device.udid,
    });
    const { certificate, key } = this.device;
    const signature = signCms({ content: body, certificate, key, detached: true });
    const headers = {
      'content-type': 'application/x-apple-aspen-mdm',
      'mdm-signature': signature.toString('base64'),
    };
    try {
      const answer = await this.#send('PUT', this.#url, { body, headers });
      return answer.status === 200 ? answer.body : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Lets many lean phones talk, `at once` so many, until it is stopped. */
export class LeanFleet {
  readonly phones: readonly LeanPhone[];
  manners: Manners;
  #stopped = false;
  #loops: Promise<void>[] = [];

  constructor(phones: readonly LeanPhone[], manners: Manners) {
    this.phones = phones;
    this.manners = manners;
  }

  start(atOnce: number, dice: Dice): void {
    let next = 0;
    const busy = new Set<LeanPhone>();
    this.#loops = Array.from({ length: atOnce }, async () => {
      while (!this.#stopped) {
        const phone = this.phones[next++ % this.phones.length]!;
        // A phone holds one conversation at a time.
        const given = busy.has(phone) ? 0 : await this.#talk(phone, busy, dice);
        // An idle fleet must not take the processor from what is tested.
        if (given === 0) await sleep(4);
      }
    });
  }

  async #talk(phone: LeanPhone, busy: Set<LeanPhone>, dice: Dice): Promise<number> {
    busy.add(phone);
    try {
      return await phone.poll(this.manners, dice);
    } finally {
      busy.delete(phone);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }
}
