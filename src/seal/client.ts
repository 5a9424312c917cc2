import { type Dialled, dial, type RemoteDoor } from './dial.ts';
import { GuardError, SealError } from './errors.ts';
import { encodeFrame, FrameReader } from './frames.ts';

/** A caller's end of a guard socket. */
export interface GuardClient {
  /**
   * Sends one message and waits for its answer: the guard's `ok` object. Throws GuardError with the guard's code, or
   * `unreachable`, `timeout`, `dropped`. A request without an answer may or may not have taken effect.
   */
  call<T = Record<string, unknown>>(type: string, body: object, options?: { readonly timeoutMs?: number }): Promise<T>;
  close(): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

const DEFAULT_TIMEOUT_MS = 5_000;

/** A connection, what waits until it is open, and when the guard last said anything. */
interface Line {
  readonly dialled: Dialled;
  unsent: Map<number, Buffer> | undefined;
  heardAt: number;
}

/**
 * Opens a client on the caller's own door of a guard: `<home>/run/<guard>-<caller>/sock`, or one on another host. Connects
 * at the first call and again after a loss; `name` is the guard's name for messages. Never retries by itself: the caller
 * knows whether a request may be repeated. A connection on which nothing came for as long as a call usually waits is given
 * up, so that the next call finds another one and not a dead one.
 */
export function guardClient(
  where: string | RemoteDoor,
  options: { readonly name: string; readonly timeoutMs?: number },
): GuardClient {
  const { name, timeoutMs: patience = DEFAULT_TIMEOUT_MS } = options;
  const waiting = new Map<number, Waiting>();
  let line: Line | undefined;
  let next = 1;
  let closed = false;

  const lose = (lost: Line, error: GuardError) => {
    if (line !== lost) return;
    line = undefined;
    lost.dialled.drop();
    const all = [...waiting.values()];
    waiting.clear();
    for (const one of all) {
      clearTimeout(one.timer);
      one.reject(error);
    }
  };

  const open = (): Line => {
    const dialled = dial(where, () => {
      // Whoever gave up meanwhile must not be served later.
      for (const [id, frame] of made.unsent ?? []) if (waiting.has(id)) dialled.socket.write(frame);
      made.unsent = undefined;
    });
    const made: Line = { dialled, unsent: new Map(), heardAt: 0 };
    const reader = new FrameReader();
    const { socket } = dialled;
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) {
          made.heardAt = performance.now();
          answer(message);
        }
      } catch (cause) {
        lose(made, new GuardError('dropped', `The ${name} gave an answer that is not understood.`, { cause }));
      }
    });
    socket.on('error', (cause) => {
      const code = made.unsent === undefined ? 'dropped' : 'unreachable';
      lose(made, new GuardError(code, `The ${name} cannot be reached. Nothing is opened without it.`, { cause }));
    });
    socket.on('close', () => lose(made, new GuardError('dropped', `The ${name} closed the connection.`)));
    return made;
  };

  const answer = (message: Record<string, unknown>) => {
    const one = typeof message['id'] === 'number' ? waiting.get(message['id']) : undefined;
    if (one === undefined) return;
    waiting.delete(message['id'] as number);
    clearTimeout(one.timer);
    const error = message['error'] as { code?: unknown; message?: unknown } | undefined;
    if (error !== undefined) one.reject(new GuardError(String(error.code), String(error.message)));
    else if (typeof message['ok'] === 'object' && message['ok'] !== null) one.resolve(message['ok']);
    else one.reject(new GuardError('dropped', `The ${name} gave an answer that is not understood.`));
  };

  return {
    call<T>(type: string, body: object, { timeoutMs = patience } = {}): Promise<T> {
      if (closed) return Promise.reject(new GuardError('unreachable', `The connection to the ${name} was closed.`));
      const id = next++;
      let frame: Buffer;
      try {
        frame = encodeFrame({ id, type, body });
      } catch (error) {
        return Promise.reject(
          error instanceof SealError ? error : new SealError('frame', 'A message has no JSON form.'),
        );
      }
      try {
        line ??= open();
      } catch (cause) {
        const message = `The ${name} cannot be reached: the certificate for it cannot be read.`;
        return Promise.reject(new GuardError('unreachable', message, { cause }));
      }
      const used = line;
      const sentAt = performance.now();
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const timer = setTimeout(() => {
        waiting.delete(id);
        const late = new GuardError('timeout', `The ${name} did not answer in time.`);
        reject(late);
        if (timeoutMs >= patience && used.heardAt < sentAt) lose(used, late);
      }, timeoutMs);
      waiting.set(id, { resolve, reject, timer });
      if (used.unsent === undefined) used.dialled.socket.write(frame);
      else used.unsent.set(id, frame);
      return promise as Promise<T>;
    },
    close() {
      closed = true;
      if (line !== undefined) lose(line, new GuardError('unreachable', `The connection to the ${name} was closed.`));
    },
  };
}
