/** What a process tells its operator, one JSON object a line on standard error. Never personal data, never secrets. */
export interface Logger {
  info(message: string, facts?: Readonly<Record<string, string | number | boolean | null>>): void;
  warn(message: string, facts?: Readonly<Record<string, string | number | boolean | null>>): void;
  /** `cause` is reduced to its class, code and stack: texts of foreign errors can quote the data that upset them. */
  error(message: string, cause?: unknown): void;
}

/** A logger that names its process. */
export function processLogger(name: string): Logger {
  const write = (level: string, message: string, facts: object) =>
    process.stderr.write(
      `${JSON.stringify({ time: new Date().toISOString(), process: name, level, message, ...facts })}\n`,
    );
  return {
    info: (message, facts = {}) => write('info', message, facts),
    warn: (message, facts = {}) => write('warn', message, facts),
    error: (message, cause) => write('error', message, cause === undefined ? {} : describe(cause)),
  };
}

function describe(cause: unknown): object {
  if (!(cause instanceof Error)) return { cause: typeof cause };
  const code = 'code' in cause ? String(cause.code) : undefined;
  // The first line of a stack repeats the message, so only the frames are kept.
  const frames = (cause.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .map((line) => line.trim());
  return { cause: cause.name, ...(code === undefined ? {} : { code }), frames };
}
