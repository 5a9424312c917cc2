import { BartizanError } from '#base';

/** Sealing, opening or checking a sealed or signed value failed. Codes: `value-too-long`, `open-failed`, `shape`, `assertion`. */
export class SealError extends BartizanError {}

const STATUS: Readonly<Record<string, number>> = { unreachable: 503, timeout: 503, dropped: 503, unavailable: 503 };

/**
 * A guard refused, or could not be asked. `code` is the guard's own code (`refused`, `locked`, `cap`, …) or one of
 * `unreachable`, `timeout`, `dropped` when there was no answer.
 */
export class GuardError extends BartizanError {
  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(code, message, { status: STATUS[code] ?? 403, ...options });
  }
}
