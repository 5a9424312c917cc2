/**
 * The error type that every room builds on. `code` is stable and machine-readable, `message` is fit for a stranger:
 * it says what to do and never holds personal data, secrets or paths of other people's files.
 * Detail for operators travels in `cause` and stays in the process log.
 */
export class BartizanError extends Error {
  readonly code: string;
  /** HTTP status to use where this error reaches an HTTP caller. */
  readonly status: number;

  constructor(code: string, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = options.status ?? 400;
  }
}

/** RFC 9457 problem document. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly instance?: string;
}

/** Maps any thrown value to a problem document; an unknown error tells the caller nothing but an id to quote. */
export function toProblem(error: unknown, instance?: string): Problem {
  const where = instance === undefined ? {} : { instance };
  if (error instanceof BartizanError) {
    return {
      type: `urn:bartizan:problem:${error.code}`,
      title: error.message,
      status: error.status,
      code: error.code,
      ...where,
    };
  }
  return {
    type: 'about:blank',
    title: 'Something failed on our side. Nothing was changed.',
    status: 500,
    code: 'internal',
    ...where,
  };
}
