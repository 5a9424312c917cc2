import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { BartizanError, type Logger } from '#base';
import { encodeFrame, FrameReader, type Shape, shape } from '#seal';

/** One message type: who may send it, how it is read, what it does. A throw of BartizanError is the answer. */
export interface Door<Caller extends string, T> {
  readonly from: readonly Caller[];
  readonly parse: Shape<T>;
  /** Runs synchronously up to its first await: meters are charged there. */
  readonly handle: (body: T, caller: Caller) => object | Promise<object>;
}

export type DoorTable<Caller extends string> = { readonly [type: string]: Door<Caller, unknown> };

/** Keeps a door's body type and handler together in a table for these callers. */
export function doorsFor<Caller extends string>() {
  return <T>(one: Door<Caller, T>): Door<Caller, unknown> => one as Door<Caller, unknown>;
}

const MOST_IN_FLIGHT = 64;
const MOST_PEERS = 32;

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

function servePeer<Caller extends string>(socket: Socket, caller: Caller, doors: DoorTable<Caller>, logger: Logger) {
  const reader = new FrameReader();
  let inFlight = 0;
  const drop = (why: string) => {
    if (socket.destroyed) return;
    logger.warn('peer dropped', { caller, why });
    socket.destroy();
  };
  const answer = (message: { readonly id: number }) => {
    if (!socket.destroyed) socket.write(frameOf(message));
    inFlight--;
    if (inFlight < MOST_IN_FLIGHT && socket.isPaused()) socket.resume();
  };
  const take = (message: Record<string, unknown>) => {
    const { id, type, body } = envelope(message);
    const one = Object.hasOwn(doors, type) ? doors[type] : undefined;
    if (one === undefined) return drop('unknown message');
    if (!one.from.includes(caller)) return drop('not for this caller');
    const parsed = one.parse(body, type);
    inFlight++;
    if (inFlight >= MOST_IN_FLIGHT) socket.pause();
    void respond(one, parsed, caller, logger).then((result) => answer({ id, ...result }));
  };
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const message of reader.push(chunk)) {
        if (socket.destroyed) return;
        take(message);
      }
    } catch {
      drop('malformed message');
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
  try {
    return { ok: await one.handle(body, caller) };
  } catch (error) {
    if (error instanceof BartizanError) return { error: { code: error.code, message: error.message } };
    logger.error('a request failed', error);
    return { error: { code: 'internal', message: 'The guard failed. Nothing was opened.' } };
  }
}
