import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { BartizanError, type Logger } from '#base';
import { encodeFrame, FrameReader, shape } from '#seal';
import { KEEPER_DOORS, type KeeperCaller, type KeeperDoor } from './doors.ts';
import type { Keeper } from './keeper.ts';

const envelope = shape.object({
  id: shape.integer(0),
  type: shape.text(40),
  body: (value: unknown) => value ?? null,
});

const MOST_PEERS = 8;

/**
 * Serves one caller's socket; whoever can open its folder is that caller. What is malformed, unknown or somebody else's drops
 * the peer without an answer, as at the guards.
 */
export function serveKeeper(options: {
  readonly path: string;
  readonly caller: KeeperCaller;
  readonly keeper: Keeper;
  readonly log: Logger;
}): Promise<{ close(): Promise<void> }> {
  const { path, caller, keeper, log } = options;
  const peers = new Set<Socket>();
  const server = createServer((socket) => {
    peers.add(socket);
    socket.on('close', () => peers.delete(socket));
    socket.on('error', () => socket.destroy());
    const reader = new FrameReader();
    const take = async (message: Record<string, unknown>) => {
      const { id, type, body } = envelope(message);
      const door = Object.hasOwn(KEEPER_DOORS, type) ? KEEPER_DOORS[type] : undefined;
      if (door === undefined || !door.from.includes(caller)) throw new BartizanError('shape', 'unknown message');
      const answer = await answered(door, keeper, body, log);
      if (!socket.destroyed) socket.write(encodeFrame({ id, ...answer }));
    };
    const drop = () => {
      if (!socket.destroyed) log.warn('peer dropped', { caller });
      socket.destroy();
    };
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) take(message).catch(drop);
      } catch {
        drop();
      }
    });
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

async function answered(door: KeeperDoor, keeper: Keeper, body: unknown, log: Logger) {
  try {
    return { ok: await door.answer(keeper, body) };
  } catch (error) {
    // A wrong shape is the peer's fault and drops it; all else is an answer.
    if (error instanceof BartizanError && error.code === 'shape') throw error;
    if (error instanceof BartizanError) return { error: { code: error.code, message: error.message } };
    log.error('a request failed', error);
    return { error: { code: 'internal', message: 'The keeper failed. Nothing was handed out.' } };
  }
}
