import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BartizanError } from '#base';
import { type Attributes, ERROR_SCHEMA, readScimJson, ScimRefusal } from '#wire';
import { readBody } from './body.ts';
import type { IntakeDoors } from './doors.ts';
import { IntakeError } from './error.ts';
import { IntakeRefusals } from './refusals.ts';
import { type ScimAnswer, scimRoutes } from './scim-routes.ts';
import type { Tokens } from './tokens.ts';

export const SCIM_PATH = '/scim/v2';
const USER_BYTES = 256 * 1024;
const GROUP_BYTES = 1024 * 1024;
/** Requests that are worked on at once; each holds its body in memory. */
const AT_ONCE = 32;

export interface ScimServer {
  readonly server: Server;
  close(): Promise<void>;
}

/**
 * SCIM 2.0, write-only: a TLS terminator stands in front. Whoever shows no token is refused before anything of the request is
 * read. No address is ever logged: filters hold keys of people.
 */
export function scimServer(doors: IntakeDoors, tokens: Tokens): ScimServer {
  const refusals = new IntakeRefusals(doors.pool, doors.log);
  const route = scimRoutes(doors);
  let working = 0;
  const server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 30_000, headersTimeout: 10_000 });
  server.maxConnections = 200;

  async function act(request: IncomingMessage): Promise<ScimAnswer> {
    const bearer = tokens.bearer(request.headers.authorization);
    if (bearer === undefined && doors.isBait?.(request.headers.authorization)) refusals.count('bait-token');
    if (bearer === undefined) throw new IntakeError('unauthorized', 'This needs a token that counts.', { status: 401 });
    if (!tokens.admit(bearer))
      throw new IntakeError('slow-down', 'Too many requests. Try again in a second.', { status: 429 });
    if (working >= AT_ONCE) throw new IntakeError('busy', 'Too much at once. Try again in a second.', { status: 503 });
    working += 1;
    try {
      const raw = request.url ?? '/';
      const asked = URL.canParse(raw, 'http://intake') ? new URL(raw, 'http://intake') : undefined;
      if (asked === undefined || !asked.pathname.startsWith(`${SCIM_PATH}/`)) {
        throw new ScimRefusal(404, undefined, 'There is nothing at this address.');
      }
      const path = asked.pathname.slice(SCIM_PATH.length).replace(/(?<=.)\/$/, '');
      const method = request.method ?? '';
      const body = method === 'GET' || method === 'DELETE' ? undefined : await bodyOf(request, path);
      const query = path.endsWith('/.search') ? searchOf(method, body) : asked.searchParams;
      const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
      return await route({ source: bearer.source, method, path, query, ifMatch, ifNoneMatch, body });
    } finally {
      working -= 1;
    }
  }

  server.on('request', (request, response) => {
    void act(request).then(
      (answer) => send(response, answer),
      (error: unknown) => {
        const status = error instanceof BartizanError ? error.status : 500;
        if (!(error instanceof BartizanError)) doors.log.error('a request failed', error);
        else refusals.count(error instanceof ScimRefusal ? (error.scimType ?? `scim-${status}`) : error.code);
        // What was not read of a refused body is not waited for.
        if (!request.complete) response.setHeader('Connection', 'close');
        if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
        if (status === 429 || status === 503) response.setHeader('Retry-After', '1');
        send(response, { status, body: problem(error, status) });
      },
    );
  });
  return {
    server,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await refusals.close();
    },
  };
}

async function bodyOf(request: IncomingMessage, path: string): Promise<Attributes> {
  if (
    !/^application\/(scim\+)?json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(request.headers['content-type'] ?? '')
  ) {
    throw new IntakeError('not-scim', 'Send application/scim+json in UTF-8.', { status: 415 });
  }
  if (request.headers['content-encoding'] !== undefined) {
    throw new IntakeError('not-scim', 'Compressed bodies are not read.', { status: 415 });
  }
  const bytes = await readBody(request, path.startsWith('/Groups') ? GROUP_BYTES : USER_BYTES);
  try {
    return readScimJson(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** RFC 7644 section 3.4.3: a query in the body, so that no key of a person stands in an address. */
function searchOf(method: string, body: Attributes | undefined): URLSearchParams {
  if (method !== 'POST' || body === undefined) throw new ScimRefusal(405, undefined, 'Send a SearchRequest by POST.');
  const query = new URLSearchParams();
  for (const [name, proper] of [
    ['filter', 'filter'],
    ['startindex', 'startIndex'],
    ['count', 'count'],
  ] as const) {
    const value = body.get(name);
    if (typeof value === 'string' || typeof value === 'number') query.set(proper, String(value));
  }
  return query;
}

/** RFC 7644 section 3.12. */
function problem(error: unknown, status: number): object {
  const detail = error instanceof BartizanError ? error.message : 'Something failed on our side. Nothing was changed.';
  const type = error instanceof ScimRefusal && error.scimType !== undefined ? { scimType: error.scimType } : {};
  return { schemas: [ERROR_SCHEMA], status: String(status), ...type, detail };
}

function send(response: ServerResponse, { status, body, etag, location }: ScimAnswer): void {
  if (response.headersSent || response.destroyed) return;
  response.setHeader('Cache-Control', 'no-store');
  if (etag !== undefined) response.setHeader('ETag', etag);
  if (location !== undefined) response.setHeader('Location', location);
  if (body === undefined) {
    response.writeHead(status).end();
    return;
  }
  response.writeHead(status, { 'content-type': 'application/scim+json' }).end(JSON.stringify(body));
}
