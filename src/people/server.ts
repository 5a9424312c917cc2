import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BartizanError, type Logger, toProblem } from '#base';
import { markCanary } from './canaries.ts';
import { PeopleError } from './error.ts';
import { type ImportDoors, importCsv, MAX_BYTES } from './import.ts';

/** The operator's door: `POST /import` and `POST /canaries` (text/csv), `POST /canaries/mark` (JSON) and `GET /healthz`, over a Unix socket. One import at a time. */
export function intakeServer(doors: ImportDoors, log: Logger): Server {
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer({ requestTimeout: 60_000, maxHeaderSize: 4096 }, (request, response) => {
    void (async () => {
      try {
        if (request.method === 'GET' && request.url === '/healthz') return answer(response, 200, { ok: true });
        if (request.method === 'POST' && request.url === '/canaries/mark') {
          return answer(response, 200, await markCanary(doors, await readJson(request)));
        }
        const canaries = request.url === '/canaries';
        if (request.method !== 'POST' || (request.url !== '/import' && !canaries)) {
          throw new PeopleError('not-found', 'There is POST /import, POST /canaries and GET /healthz.', {
            status: 404,
          });
        }
        if (!/^text\/csv(;\s*charset=utf-8)?$/i.test(request.headers['content-type'] ?? '')) {
          throw new PeopleError('not-csv', 'Send the file as text/csv.', { status: 415 });
        }
        const bytes = await readAll(request);
        const mine = turn.then(() => importCsv(doors, bytes, canaries));
        turn = mine.catch(() => {});
        const result = await mine;
        if (result.refused.length === 0) {
          log.info('people were imported', { accepted: result.accepted });
          return answer(response, 200, result);
        }
        log.info('a file was refused', { lines: result.refused.length });
        const refusal = new PeopleError(
          'refused-file',
          'Nothing was imported: correct these lines and send the whole file again.',
        );
        return answer(response, 400, { ...toProblem(refusal), ...result });
      } catch (error) {
        if (!(error instanceof BartizanError)) log.error('an import failed', error);
        const problem = toProblem(error);
        return answer(response, problem.status, problem);
      }
    })();
  });
  return server;
}

function answer(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  // A refused upload may still be running: the connection is not used again.
  if (status >= 400) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(JSON.stringify(body));
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  try {
    return JSON.parse((await readAll(request)).toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new PeopleError('bad-request', 'The body is not JSON.');
  }
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BYTES) {
      for (const one of parts) one.fill(0);
      part.fill(0);
      throw new PeopleError('too-large', 'A file may have at most 5 MB.', { status: 413 });
    }
    parts.push(part);
  }
  const all = Buffer.concat(parts);
  for (const one of parts) one.fill(0);
  return all;
}
