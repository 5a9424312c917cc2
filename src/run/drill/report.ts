/** One thing that an attacker tried, what must come of it, and what came of it. */
export interface Step {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean;
}

/** What a drill found. Times are milliseconds from the hostile act; null where the drill has nothing to detect or contain. */
export interface DrillReport {
  readonly ok: boolean;
  readonly steps: readonly Step[];
  readonly detectedMs?: number | null;
  readonly containedMs?: number | null;
  readonly evidence?: Readonly<Record<string, unknown>>;
}

/** What `bartizan drill run ID --json` prints as its last line. */
export interface DrillResult {
  readonly id: string;
  readonly prevented: boolean;
  readonly detected_ms: number | null;
  readonly contained_ms: number | null;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly passed: boolean;
}

/** Collects steps; a step that is not as expected is told at once. */
export class Steps {
  readonly all: Step[] = [];
  readonly #tell: (line: string) => void;

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  /** `seen` is counted or named, never a value of the directory. */
  add(name: string, expected: string | number | boolean, seen: string | number | boolean): void {
    const step = { name, expected: String(expected), seen: String(seen), ok: expected === seen };
    this.all.push(step);
    this.#tell(`${step.ok ? 'kept  ' : 'BROKEN'} ${name}: ${step.seen}${step.ok ? '' : `, expected ${step.expected}`}`);
  }

  /** Like `add`, for what need only be within a bound. */
  atMost(name: string, bound: number, seen: number | null): void {
    const ok = seen !== null && seen <= bound;
    const step = { name, expected: `at most ${bound}`, seen: String(seen), ok };
    this.all.push(step);
    this.#tell(`${ok ? 'kept  ' : 'BROKEN'} ${name}: ${step.seen} (${step.expected})`);
  }

  get ok(): boolean {
    return this.all.every((step) => step.ok);
  }
}

/** A report in the form that scripts rely on. */
export const resultOf = (id: string, report: DrillReport): DrillResult => ({
  ...{ id, prevented: report.ok, detected_ms: report.detectedMs ?? null, contained_ms: report.containedMs ?? null },
  evidence: { ...report.evidence, steps: report.steps },
  passed: report.ok,
});
