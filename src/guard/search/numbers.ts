import { createHmac } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import { fromBase64url, toBase64url } from '#base';
import type { GuardClient } from '#seal';
import type { Answered } from './answer.ts';
import type { Opened } from './opened.ts';
import type { Oprf } from './oprf.ts';
import type { Question } from './rules.ts';

const E164 = /^\+[1-9][0-9]{6,14}$/;

/** Whether these bytes are a whole number: +, country, number. */
export const isE164 = (bytes: Buffer): boolean => bytes.length <= 16 && E164.test(bytes.toString('latin1'));

/** The sealer's half of every number's tag: HMAC under its key of what the ledger evaluated without seeing it. */
export class Numbers {
  readonly #ledger: GuardClient;
  readonly #oprf: Oprf;
  readonly #key: Buffer;

  constructor(ledger: GuardClient, oprf: Oprf, key: Buffer) {
    this.#ledger = ledger;
    this.#oprf = oprf;
    this.#key = key;
  }

  /** One question: the ledger counts and writes it down before it evaluates, and again before it says whose number it is. */
  async find({ search, assertion, seq }: Question, number: Buffer): Promise<Answered> {
    const { blind, blinded } = this.#oprf.blind(number);
    const { evaluated } = await this.#ledger.call<{ evaluated: string }>('evaluate', {
      ...{ search, assertion, seq, blinded: toBase64url(blinded) },
    });
    return this.#ledger.call<Answered>('find', { grant: search.id, seq, tag: this.#tag(number, blind, evaluated) });
  }

  /** Has tags kept of numbers that were opened for the index. What is no whole number gets none. */
  async index(opened: readonly Opened[]): Promise<void> {
    const numbers = [];
    for (const { subject, version, value } of opened) {
      if (!isE164(value)) continue;
      numbers.push({ subject, version, value, ...this.#oprf.blind(value) });
      await breathe();
    }
    if (numbers.length === 0) return;
    const blinded = numbers.map((one) => toBase64url(one.blinded));
    const answer = this.#ledger.call<{ evaluated: string[] }>('evaluate-bulk', { blinded }, { timeoutMs: 30_000 });
    const { evaluated } = await answer;
    const tags = [];
    for (const [i, { subject, version, value, blind }] of numbers.entries()) {
      tags.push({ subject, version, tag: this.#tag(value, blind, evaluated[i] ?? '') });
      await breathe();
    }
    await this.#ledger.call('tags', { tags });
  }

  #tag(number: Buffer, blind: bigint, evaluated: string): string {
    const output = this.#oprf.finish(number, blind, fromBase64url(evaluated));
    return createHmac('sha256', this.#key).update(output).digest('base64url');
  }
}
