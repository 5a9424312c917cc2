import { connect, type Socket } from 'node:net';
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

/**
 * Opens a client on the caller's own socket of a guard (`<home>/run/<guard>-<caller>/sock`). Connects at the first
 * call and again after a loss; `name` is the guard's name for messages. Never retries by itself: the caller knows
 * whether a request may be repeated.
 */
export function guardClient(
  path: string,
  options: { readonly name: string; readonly timeoutMs?: number },
): GuardClient {
  const { name } = options;
  const waiting = new Map<number, Waiting>();
  let socket: Socket | undefined;
  let next = 1;
  let closed = false;

  const lose = (lost: Socket, error: GuardError) => {
    if (socket !== lost) return;
    socket = undefined;
    lost.destroy();
    const all = [...waiting.values()];
    waiting.clear();
    for (const one of all) {
      clearTimeout(one.timer);
      one.reject(error);
    }
  };

  const open = (): Socket => {
    const made = connect({ path });
    const reader = new FrameReader();
    let connected = false;
    made.on('connect', () => {
      connected = true;
    });
    made.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) answer(message);
      } catch (cause) {
        lose(made, new GuardError('dropped', `The ${name} gave an answer that is not understood.`, { cause }));
      }
    });
    made.on('error', (cause) => {
      const code = connected ? 'dropped' : 'unreachable';
      lose(made, new GuardError(code, `The ${name} cannot be reached. Nothing is opened without it.`, { cause }));
    });
    made.on('close', () => lose(made, new GuardError('dropped', `The ${name} closed the connection.`)));
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
    call<T>(type: string, body: object, { timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS } = {}): Promise<T> {
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
      socket ??= open();
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new GuardError('timeout', `The ${name} did not answer in time.`));
      }, timeoutMs);
      waiting.set(id, { resolve, reject, timer });
      socket.write(frame);
      return promise as Promise<T>;
    },
    close() {
      closed = true;
      if (socket !== undefined)
        lose(socket, new GuardError('unreachable', `The connection to the ${name} was closed.`));
    },
  };
}
