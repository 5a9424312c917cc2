import { createServer, type Server } from 'node:http';
import type { Refusals } from './refusals.ts';

/** Connections at a time. A proxy in front of edge has few; who speaks to it directly has no more than these. */
const MOST = 4_000;
/** From here on a connection that asks for nothing gives its place to one that does. */
const CROWDED = 3_600;
const SHED_EVERY_MS = 250;

/** The listening server with its bounds of time and number; it answers nothing by itself. */
export function listener(refusals: Pick<Refusals, 'count'>): Server {
  const server = createServer({
    maxHeaderSize: 16 * 1024,
    requestTimeout: 30_000,
    headersTimeout: 10_000,
    // Longer than proxies keep theirs: whoever closes first must not be the one who is spoken to.
    keepAliveTimeout: 75_000,
    // Node looks for slow requests every 30 s unless told otherwise: that long a slow one would keep its place.
    connectionsCheckingInterval: 2_000,
  });
  server.maxConnections = MOST;
  let open = 0;
  let shedAt = 0;
  server.on('connection', (socket) => {
    open += 1;
    socket.on('close', () => {
      open -= 1;
    });
    if (open < CROWDED || Date.now() - shedAt < SHED_EVERY_MS) return;
    shedAt = Date.now();
    server.closeIdleConnections();
  });
  // One connection more than there may be: closed at once, and counted with those that keep the places.
  server.on('drop', () => refusals.count('too-slow'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refusals.count(error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'too-slow' : 'message');
    const bad = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';
    // Destroyed, not only ended: whoever never closes its side would keep its place.
    if (socket.writable) socket.end(bad, () => socket.destroy());
    else socket.destroy();
  });
  return server;
}
