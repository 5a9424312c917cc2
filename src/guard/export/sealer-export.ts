import { createHash } from 'node:crypto';
import { toBase64url } from '#base';
import {
  AgeWriter,
  type Assertion,
  EXPORT_PART,
  type Export,
  type Exported,
  type GuardClient,
  readAgeRecipient,
  type SealedRow,
} from '#seal';
import type { Detail } from '../entries.ts';
import type { Gate } from '../gate.ts';
import { type Opened, type OpenInner, openRows } from '../search/opened.ts';
import type { Effect } from '../state.ts';
import { beginExport, notOpen } from './rules.ts';

export interface SealerExportOptions {
  readonly org: string;
  readonly gate: Gate;
  readonly ledger: GuardClient;
  readonly openInner: OpenInner;
  readonly keep: (effects: readonly Effect[]) => Promise<void>;
  readonly refuse: (kind: 'directory.refused' | 'approval.refused', error: unknown, detail: Detail) => Promise<never>;
  readonly synced: () => Promise<void>;
  /** Throws where nothing here can read what is to be exported. */
  readonly mayRead: () => void;
}

/** A file that is being made, in memory alone: after a restart the export is over, and counts. */
interface Making {
  readonly document: Export;
  readonly until: number;
  readonly writer: AgeWriter;
  readonly parts: Buffer[];
}

interface Made {
  readonly id: string;
  readonly until: number;
  readonly file: Buffer;
}

const HEADER: Readonly<Record<Exported, string>> = { name: 'name', number: 'mobile', email: 'email' };
const cell = (value: string): string => `"${value.replaceAll('"', '""')}"`;

/**
 * The sealer's part of an export: values are opened here, written as CSV and encrypted to the recipients that were signed, in one
 * pass. Nothing leaves before the whole is encrypted; what leaves is of use to the recipients alone.
 */
export class SealerExport {
  readonly #options: SealerExportOptions;
  #making: Making | undefined;
  #made: Made | undefined;

  constructor(options: SealerExportOptions) {
    this.#options = options;
  }

  async begin(document: Export, assertions: readonly Assertion[]): Promise<object> {
    const { gate } = this.#options;
    this.#options.mayRead();
    await this.#options.synced();
    if (this.#making?.document.id === document.id && gate.seen(document)) return {};
    let begun: ReturnType<typeof beginExport>;
    try {
      begun = beginExport(gate, document, assertions);
    } catch (error) {
      const { id: approval, requester: claimed } = document;
      return this.#options.refuse('approval.refused', error, { approval, op: 'export', claimed });
    }
    // In memory first: whoever asks again meanwhile is told no by it.
    const writer = new AgeWriter(document.recipients.map(readAgeRecipient));
    await this.#options.keep(begun.effects);
    const head = `${['handle', ...document.fields.map((field) => HEADER[field])].join(',')}\r\n`;
    this.#making = { document, until: begun.until, writer, parts: [writer.head, writer.push(Buffer.from(head))] };
    this.#made = undefined;
    return {};
  }

  /** Takes the rows of some people, all their fields together, and adds their lines. */
  async take(id: string, rows: readonly SealedRow[]): Promise<object> {
    const making = this.#underWay(id);
    const { fields } = making.document;
    if (rows.some(({ field }) => !(fields as readonly string[]).includes(field))) throw notOpen();
    const opened: Opened[] = [];
    const people = new Map<string, Map<Exported, string>>();
    try {
      for (const field of fields) {
        const own = rows.filter((row) => row.field === field);
        if (own.length === 0) continue;
        const from = opened.length;
        await openRows({ ...this.#options, field, rows: own, via: { type: 'export-open', body: { id } } }, opened);
        for (const { subject, value } of opened.slice(from)) {
          const person = people.get(subject) ?? new Map<Exported, string>();
          person.set(field, value.toString('utf8'));
          people.set(subject, person);
        }
      }
    } finally {
      for (const one of opened) one.wipe();
    }
    // Locked or begun anew meanwhile: what was opened is forgotten.
    if (this.#underWay(id) !== making) throw notOpen();
    const lines = [...people]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([subject, values]) => [subject, ...fields.map((field) => cell(values.get(field) ?? ''))].join(','));
    if (lines.length > 0) {
      const text = Buffer.from(`${lines.join('\r\n')}\r\n`);
      making.parts.push(making.writer.push(text));
      text.fill(0);
    }
    return {};
  }

  /** Ends the file and says how long it is. */
  async end(id: string): Promise<{ bytes: number; parts: number; sha256: string }> {
    const making = this.#underWay(id);
    this.#making = undefined;
    const file = Buffer.concat([...making.parts, making.writer.end()]);
    const sha256 = toBase64url(createHash('sha256').update(file).digest());
    await this.#options.ledger.call('export-end', { id, bytes: file.length, sha256 });
    this.#made = { id, until: making.until, file };
    return { bytes: file.length, parts: Math.ceil(file.length / EXPORT_PART), sha256 };
  }

  /** A part of the finished file, which is encrypted. */
  part(id: string, n: number): { part: string } {
    const made = this.#made;
    if (made?.id !== id || made.until <= this.#options.gate.time.now()) throw notOpen();
    return { part: toBase64url(made.file.subarray(n * EXPORT_PART, (n + 1) * EXPORT_PART)) };
  }

  #underWay(id: string): Making {
    const { state, time } = this.#options.gate;
    const making = this.#making;
    const open = making?.document.id === id && making.until > time.now() && !state.locked('document', id);
    if (!open || making === undefined || state.locked('directory')) {
      this.#making = undefined;
      throw notOpen();
    }
    return making;
  }
}
