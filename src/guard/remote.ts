import { constants, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import type { Clock, Logger } from '#base';
import { GUARD_PROTOCOL } from '#seal';
import { Callers } from './callers.ts';
import { RefusalBook } from './refusals.ts';
import { type DoorTable, MOST_PEERS, servePeer } from './server.ts';

const HANDSHAKE_MS = 3_000;
/** Connections that have not proved anything yet; the oldest gives way to the next. */
const MOST_STRANGERS = 64;
const QUIET_MS = 5_000;
const LOOK_MS = 1_000;
const TOLD_A_MINUTE = 10;

export interface RemoteOptions<Caller extends string> {
  readonly host: string;
  readonly port: number;
  /** Folder with `authority.pem`, `ledger.pem`, `ledger.key` and `callers.json`. New files count without a restart. */
  readonly folder: string;
  readonly callers: readonly Caller[];
  readonly doors: DoorTable<Caller>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Serves the callers of another host: TLS 1.3 only, a client certificate of the one pinned authority, and the certificate *is*
 * the caller, as the socket's folder is on one host. A session is never resumed, so the list of callers is asked each time;
 * a connection whose certificate was taken off the list, or expired, is broken off within a second.
 */
export async function serveRemote<Caller extends string>(
  options: RemoteOptions<Caller>,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { folder, doors, clock, logger } = options;
  const callers = new Callers(join(folder, 'callers.json'), options.callers);
  const strangers = new Set<Socket>();
  const peers = new Map<TLSSocket, { caller: Caller; certificate: X509Certificate }>();
  const book = new RefusalBook(TOLD_A_MINUTE);
  const tell = (why: string) => {
    const more = book.admit(clock());
    if (more !== undefined) logger.warn('a connection was refused', { why, ...(more > 0 ? { more } : {}) });
  };
  const server = createServer({
    ...identity(folder),
    ...{ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' },
    ...{ ALPNProtocols: [GUARD_PROTOCOL], handshakeTimeout: HANDSHAKE_MS },
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  server.on('connection', (line: Socket) => {
    line.setNoDelay(true);
    line.setKeepAlive(true, QUIET_MS);
    line.on('error', () => line.destroy());
    line.once('close', () => strangers.delete(line));
    strangers.add(line);
    if (strangers.size > MOST_STRANGERS) {
      tell('too many at once');
      strangers.values().next().value!.destroy();
    }
  });
  server.on('tlsClientError', (error: Error & { code?: string }, socket) => {
    tell(error.code ?? 'no handshake');
    socket.destroy();
  });
  server.on('secureConnection', (socket) => {
    forget(strangers, socket);
    const raw = socket.getPeerX509Certificate();
    const certificate = raw === undefined ? undefined : new X509Certificate(raw.raw);
    const caller = callers.of(certificate, clock());
    const refuse = (why: string) => {
      tell(why);
      socket.destroy();
    };
    socket.on('error', () => socket.destroy());
    if (certificate === undefined || caller === undefined) return refuse('not on the list of callers');
    if (socket.isSessionReused() || socket.alpnProtocol !== GUARD_PROTOCOL)
      return refuse('not a fresh session of ours');
    if ([...peers.values()].filter((one) => one.caller === caller).length >= MOST_PEERS)
      return refuse('too many at once');
    peers.set(socket, { caller, certificate });
    socket.once('close', () => peers.delete(socket));
    servePeer(socket, caller, doors, logger);
  });
  let stamp = stampOf(folder);
  const look = setInterval(() => {
    for (const [socket, { caller, certificate }] of peers) {
      if (callers.of(certificate, clock()) === caller) continue;
      logger.warn('peer dropped', { caller, why: 'its certificate does not count any more' });
      socket.destroy();
    }
    const now = stampOf(folder);
    if (now === stamp) return;
    stamp = now;
    try {
      server.setSecureContext({
        ...identity(folder),
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
        secureOptions: constants.SSL_OP_NO_TICKET,
      });
      logger.info('a new certificate is in use');
    } catch {
      logger.error('the new certificate cannot be used; the one from before stays');
    }
  }, LOOK_MS);
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () =>
      new Promise((closed) => {
        clearInterval(look);
        server.close(() => closed());
        for (const one of [...strangers, ...peers.keys()]) one.destroy();
      }),
  };
}

const FILES = ['authority.pem', 'ledger.pem', 'ledger.key'] as const;

function identity(folder: string): { ca: Buffer; cert: Buffer; key: Buffer } {
  const [ca, cert, key] = FILES.map((name) => readFileSync(join(folder, name))) as [Buffer, Buffer, Buffer];
  return { ca, cert, key };
}

/** Changes when one of the files does. */
function stampOf(folder: string): string {
  return FILES.map((name) => {
    try {
      const { ino, mtimeMs } = statSync(join(folder, name));
      return `${ino} ${mtimeMs}`;
    } catch {
      return '-';
    }
  }).join();
}

/** The line under a TLS socket has proved who it is; it is found by the address of its other end. */
function forget(strangers: Set<Socket>, socket: TLSSocket): void {
  for (const line of strangers) {
    if (line.remotePort === socket.remotePort && line.remoteAddress === socket.remoteAddress) strangers.delete(line);
  }
}
