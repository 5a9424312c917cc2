import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { BartizanError, type Logger } from '#base';
import { encodeFrame, FrameReader, GuardError, SealError, type Shape, shape } from '#seal';

/** One message type: who may send it, how it is read, what it does. A throw of BartizanError is the answer. */
export interface Door<Caller extends string, T> {
  readonly from: readonly Caller[];
  readonly parse: Shape<T>;
  /** Runs synchronously up to its first await: meters are charged there. */
  readonly handle: (body: T, caller: Caller) => object | Promise<object>;
  /** Longest that it may wait on purpose, milliseconds; on top of what every door may take. */
  readonly waits?: (body: T) => number;
}

export type DoorTable<Caller extends string> = { readonly [type: string]: Door<Caller, unknown> };

/** Keeps a door's body type and handler together in a table for these callers. */
export function doorsFor<Caller extends string>() {
  return <T>(one: Door<Caller, T>): Door<Caller, unknown> => one as Door<Caller, unknown>;
}

const MOST_IN_FLIGHT = 64;
export const MOST_PEERS = 32;
/** Answers that a peer has not taken yet, bytes; beyond it nothing more is read from that peer. */
const MOST_UNREAD = 4 * 1024 * 1024;
/**
 * Longest that a caller waits, milliseconds, below what callers allow. What comes later is thrown away, so nothing is ever read
 * by a request that was told no.
 */
const ANSWER_MS = 4_000;

const envelope = shape.object({
  id: shape.integer(0),
  type: shape.text(40),
  body: (value: unknown) => value ?? null,
});

/**
 * Serves one caller's socket. Whoever can open the socket's folder is that caller. A message of unknown type, from the
 * wrong caller or of the wrong shape drops the peer without an answer.
 */
export function serveCaller<Caller extends string>(options: {
  readonly path: string;
  readonly caller: Caller;
  readonly doors: DoorTable<Caller>;
  readonly logger: Logger;
}): Promise<{ close(): Promise<void> }> {
  const { path, caller, doors, logger } = options;
  const peers = new Set<Socket>();
  const server: Server = createServer((socket) => {
    peers.add(socket);
    socket.on('close', () => peers.delete(socket));
    servePeer(socket, caller, doors, logger);
  });
  server.maxConnections = MOST_PEERS;
  rmSync(path, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      // The folder admits exactly one caller; the socket itself must not stand in its way.
      chmodSync(path, 0o666);
      resolve({
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            for (const peer of peers) peer.destroy();
          }),
      });
    });
  });
}

/** A message as its door reads it. Throws for whatever must drop the peer; `why` says what it was. */
export function readRequest<Caller extends string>(
  message: Record<string, unknown>,
  caller: Caller,
  doors: DoorTable<Caller>,
): { id: number; one: Door<Caller, unknown>; parsed: unknown } {
  const { id, type, body } = envelope(message);
  const one = Object.hasOwn(doors, type) ? doors[type] : undefined;
  if (one === undefined) throw new SealError('shape', 'unknown message');
  if (!one.from.includes(caller)) throw new SealError('shape', 'not for this caller');
  return { id, one, parsed: one.parse(body, type) };
}

/** Serves a peer that has proved to be this caller. */
export function servePeer<Caller extends string>(
  socket: Socket,
  caller: Caller,
  doors: DoorTable<Caller>,
  logger: Logger,
): void {
  const reader = new FrameReader();
  let inFlight = 0;
  const drop = (why: string) => {
    if (socket.destroyed) return;
    logger.warn('peer dropped', { caller, why });
    socket.destroy();
  };
  const goOn = () => {
    if (inFlight < MOST_IN_FLIGHT && socket.writableLength < MOST_UNREAD && socket.isPaused()) socket.resume();
  };
  const answer = (message: { readonly id: number }) => {
    inFlight--;
    if (socket.destroyed) return;
    socket.write(frameOf(message));
    if (socket.writableLength >= MOST_UNREAD) socket.pause();
    else goOn();
  };
  socket.on('drain', goOn);
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const message of reader.push(chunk)) {
        if (socket.destroyed) return;
        const { id, one, parsed } = readRequest(message, caller, doors);
        inFlight++;
        if (inFlight >= MOST_IN_FLIGHT) socket.pause();
        void respond(one, parsed, caller, logger).then((result) => answer({ id, ...result }));
      }
    } catch (error) {
      drop(error instanceof SealError ? error.message : 'malformed message');
    }
  });
  socket.on('error', () => socket.destroy());
}

/** An answer beyond the frame limit becomes an error: the caller must ask for less. */
function frameOf(message: { readonly id: number }): Buffer {
  try {
    return encodeFrame(message);
  } catch {
    return encodeFrame({
      id: message.id,
      error: { code: 'too-long', message: 'The answer is too long. Ask for less.' },
    });
  }
}

async function respond<Caller extends string>(
  one: Door<Caller, unknown>,
  body: unknown,
  caller: Caller,
  logger: Logger,
): Promise<{ ok: object } | { error: { code: string; message: string } }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const ms = ANSWER_MS + (one.waits?.(body) ?? 0);
    timer = setTimeout(() => reject(new GuardError('unavailable', 'The guard is too slow. Nothing was opened.')), ms);
  });
  try {
    return { ok: await Promise.race([one.handle(body, caller), late]) };
  } catch (error) {
    if (error instanceof BartizanError) return { error: { code: error.code, message: error.message } };
    logger.error('a request failed', error);
    return { error: { code: 'internal', message: 'The guard failed. Nothing was opened.' } };
  } finally {
    clearTimeout(timer);
  }
}
