import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What one step of an attack brought home. The attacker does not judge it: an outside observer reads the files. */
export interface Step {
  readonly step: string;
  /** `got`: bytes were obtained, `refused`: something said no, `nothing`: no error, but nothing came of it. */
  readonly outcome: 'got' | 'refused' | 'nothing';
  readonly detail: string;
  readonly bytes: number;
}

/** Takes what an attacker could read. */
export type Keep = (bytes: Uint8Array | string) => void;

/** Keeps everything an attacker lays hands on, bounded to `maxBytes` per step, in `dir`. */
export class Loot {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly steps: Step[] = [];

  constructor(dir: string, maxBytes = 64 * 1024 * 1024) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
    this.#maxBytes = maxBytes;
  }

  /** Runs one step. `work` calls `keep` with whatever it read; an exception is a refusal. */
  async try(step: string, work: (keep: Keep) => unknown): Promise<void> {
    let bytes = 0;
    const file = join(this.#dir, `${String(this.steps.length).padStart(3, '0')}-${step.replace(/[^a-z0-9]+/gi, '-')}`);
    const keep: Keep = (data) => {
      const buffer = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data);
      if (bytes + buffer.length > this.#maxBytes) return;
      appendFileSync(file, buffer);
      appendFileSync(file, '\n');
      bytes += buffer.length;
    };
    let outcome: Step['outcome'] = 'nothing';
    let detail = '';
    try {
      const said = await withDeadline(work(keep), 30_000);
      detail = typeof said === 'string' ? said : '';
      outcome = bytes > 0 ? 'got' : 'nothing';
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      detail = `${code} ${error instanceof Error ? error.message : String(error)}`.trim().slice(0, 200);
      outcome = bytes > 0 ? 'got' : 'refused';
    }
    this.steps.push({ step, outcome, detail, bytes });
  }

  /** Writes the report beside the loot; its presence tells the observer that the attacker is done. */
  finish(): void {
    writeFileSync(join(this.#dir, 'report.json'), JSON.stringify(this.steps));
  }
}

async function withDeadline(work: unknown, ms: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the step took too long')), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
