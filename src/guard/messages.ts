import type { KeyObject } from 'node:crypto';
import { toBase64url } from '#base';
import { type Assertion, GuardError, type Ordered, type Receipt, type SealedRow, signReceipt } from '#seal';
import type { Book } from './book.ts';
import type { Detail } from './entries.ts';
import { judgeMessage, orderedHash } from './message-gate.ts';
import type { Persons } from './persons.ts';

/** What a refused or opened message is, for the log: its purpose, its text's template, no text and no address. */
export const messageDetail = (message: Ordered, asked: number): Detail => ({
  ...{ message: message.id, purpose: message.topic, channel: message.channel, template: message.template },
  ...{ text: message.text, asked, lane: message.op },
  ...(message.op === 'auto-send' ? { rule: message.rule } : {}),
});

/** The ledger's half of a message: verify, charge, write who is written to and why, and only then open. */
export class Messages {
  readonly #book: Book;
  readonly #persons: Persons;
  readonly #signing: KeyObject;
  readonly #coreKey: string | undefined;

  constructor(options: {
    readonly book: Book;
    readonly persons: Persons;
    readonly signing: KeyObject;
    readonly coreKey: string | undefined;
  }) {
    this.#book = options.book;
    this.#persons = options.persons;
    this.#signing = options.signing;
    this.#coreKey = options.coreKey;
  }

  /**
   * Opens the outer layers for one message. `silent` names the decoys among them to the sealer, which tells it to courier
   * alone: nothing is sent to them, and to everybody else they look like the rest.
   */
  async open(message: Ordered, assertions: readonly Assertion[], rows: readonly SealedRow[]) {
    const { gate } = this.#book;
    const detail = messageDetail(message, rows.length);
    let judged: ReturnType<typeof judgeMessage>;
    try {
      judged = judgeMessage(gate, this.#coreKey, message, assertions, rows);
    } catch (error) {
      return this.#book.refuse('message.refused', error, detail);
    }
    const subjects = rows.map((row) => row.subject);
    const entry = this.#book.write(
      'message.opened',
      judged.actor,
      { ...detail, subjects },
      judged.effects,
      subjects.length === 1 ? subjects[0] : undefined,
    );
    await entry.written;
    const inner: { subject: string; inner: string }[] = [];
    for (const row of rows) {
      const opened = await this.#persons.open(row).catch((error: unknown) => {
        if (!(error instanceof GuardError && error.code === 'rolled-back')) throw error;
        return this.#book
          .write('log.trouble', null, { code: error.code }, [], row.subject)
          .written.then(() => undefined);
      });
      if (opened !== undefined) inner.push({ subject: row.subject, inner: toBase64url(opened) });
    }
    const receipt: Receipt = signReceipt(this.#signing, {
      v: 1,
      grant: message.id,
      grantSha256: orderedHash(message),
      leaf: entry.leaf,
      opened: inner.map((one) => one.subject),
      time: entry.time,
    });
    return { inner, receipt, silent: subjects.filter((subject) => gate.state.decoys.has(subject)) };
  }
}
