import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Clock, Logger } from '#base';
import { addCheckpoint } from './judge.ts';
import type { Signers } from './keys.ts';
import type { Memory } from './memory.ts';
import { Rate } from './rate.ts';

/** 63 hashes and a checkpoint with a dozen signatures, ML-DSA ones among them. */
const BODY_BYTES = 64 * 1024;
const BURST = 60;
const PER_SECOND = 20;
/** Requests that wait for their turn. */
const MOST_WAITING = 64;

export interface WitnessOptions {
  readonly host: string;
  readonly port: number;
  readonly memory: Memory;
  readonly signers: Signers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface Serving {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers `POST /add-checkpoint` (C2SP tlog-witness), and `GET /` with who this is. */
export async function serveWitness(options: WitnessOptions): Promise<Serving> {
  const { memory, signers, clock, logger } = options;
  const rate = new Rate(BURST, PER_SECOND);
  // One after the other: what is checked against the memory must still be so when it is kept.
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    waiting += 1;
    const done = turn.then(work).finally(() => {
      waiting -= 1;
    });
    turn = done.catch(() => {});
    return done;
  };
  const say = (response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8') =>
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url } = request;
    if (url === '/' && method === 'GET') {
      const logs = memory.logs.map(({ origin, newest }) => `log ${origin} ${newest.size}`);
      say(response, 200, [...signers.verifiers.map((key) => `witness ${key}`), ...logs, ''].join('\n'));
      return;
    }
    if (url !== '/add-checkpoint') return void say(response, 404, 'There is POST /add-checkpoint here.\n');
    if (method !== 'POST') return void say(response.setHeader('allow', 'POST'), 405, 'Use POST.\n');
    if (!rate.admit(request.socket.remoteAddress ?? '', clock()) || waiting >= MOST_WAITING)
      return void say(response.setHeader('retry-after', '1'), 429, 'Too many requests. Ask again in a second.\n');
    const body = await readBody(request);
    if (body === undefined) {
      say(response.setHeader('connection', 'close'), 413, 'A request has 64 KiB at most, and is UTF-8.\n');
      return;
    }
    const {
      status,
      body: said,
      type,
    } = await inTurn(() => addCheckpoint(body, memory, (text) => signers.sign(text, clock())));
    if (status === 422 || (status === 409 && type !== 'text/x.tlog.size'))
      logger.warn('a log showed another past than before; what it signed was put aside', { status });
    say(response, status, said, type);
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    respond(request, response).catch((error: unknown) => {
      // What could not be remembered is not signed.
      logger.error('a request failed', error);
      if (!response.headersSent) say(response, 500, 'The witness could not remember it, so it did not sign.\n');
    });
  };
  const { tls } = options;
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => resolve());
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 1_000).unref();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    if (bytes > BODY_BYTES) return undefined;
    parts.push(part as Buffer);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts));
  } catch {
    return undefined;
  }
}
