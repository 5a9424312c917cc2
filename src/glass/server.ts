import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BartizanError, toProblem } from '#base';
import { Refusals } from '#log';
import { type PageFile, readPages, securityHeaders } from '#page';
import { THIRD_BYTES } from '#seal';
import { relay, showApproval, shownData, sign } from './approvals.ts';
import { cancelChange } from './change.ts';
import { cosign, cosigned } from './cosign.ts';
import type { GlassDoors } from './doors.ts';
import { enrolKey } from './enrol.ts';
import { GlassError } from './error.ts';
import { exportPart, exportState } from './export.ts';
import { permitImport, relayImport } from './import.ts';
import { leave, ownSheet } from './leave.ts';
import { release } from './release.ts';
import { reveal } from './reveal.ts';
import { breakGlass, cancelRaise, lockNow, refound, rosterOf, showRoster } from './roster.ts';
import { endSearch, keepFilled, search, searchStatus } from './search.ts';
import { sendMessage } from './send.ts';
import { bringShare, sharesWaiting } from './share.ts';
import { pinLockKey, shareThird, thirdState } from './third.ts';

const BODY_BYTES = 256 * 1024;
const RELAY_EVERY_MS = 5_000;
const HEADERS = securityHeaders({ passkeys: true });
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: RegExp;
  readonly handle: (doors: GlassDoors, input: { readonly id: string; readonly body: unknown }) => unknown;
}

/** All that glass does: its whole attack surface besides the pages. */
const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: /^\/api\/keys$/,
    handle: async (doors) => ({
      ...{ keys: doors.keys, console: doors.origins.console, edge: doors.origins.edge },
      numbers: doors.keys.third === undefined ? doors.numbers : { ...doors.numbers, valueBytes: THIRD_BYTES },
      caps: { perTouch: (await rosterOf(doors))?.caps.perTouch ?? doors.caps.perTouch },
    }),
  },
  { method: 'POST', path: /^\/api\/reveal$/, handle: (doors, { body }) => reveal(doors, body) },
  { method: 'POST', path: /^\/api\/send$/, handle: (doors, { body }) => sendMessage(doors, body) },
  { method: 'POST', path: /^\/api\/release$/, handle: (doors, { body }) => release(doors, body) },
  { method: 'POST', path: /^\/api\/import\/permit$/, handle: (doors, { body }) => permitImport(doors, body) },
  {
    method: 'POST',
    path: /^\/api\/import\/(begin|places|send|part|missing|finish|cancel)$/,
    handle: (doors, { id, body }) => relayImport(doors, id, body),
  },
  { method: 'GET', path: /^\/api\/roster$/, handle: (doors) => showRoster(doors) },
  { method: 'POST', path: /^\/api\/lock$/, handle: (doors, { body }) => lockNow(doors, body) },
  { method: 'POST', path: /^\/api\/cancel-raise$/, handle: (doors, { body }) => cancelRaise(doors, body) },
  { method: 'POST', path: /^\/api\/break-glass$/, handle: (doors, { body }) => breakGlass(doors, body) },
  { method: 'POST', path: /^\/api\/refound$/, handle: (doors, { body }) => refound(doors, body) },
  { method: 'POST', path: /^\/api\/cosign$/, handle: (doors, { body }) => cosign(doors, body) },
  { method: 'GET', path: new RegExp(`^/api/cosign/(${UUID})$`), handle: (_, { id }) => cosigned(id) },
  { method: 'POST', path: /^\/api\/change$/, handle: (doors, { body }) => cancelChange(doors, body) },
  { method: 'POST', path: /^\/api\/leave$/, handle: (doors, { body }) => leave(doors, body) },
  { method: 'POST', path: /^\/api\/sheet$/, handle: (doors, { body }) => ownSheet(doors, body) },
  { method: 'GET', path: /^\/api\/key-shares$/, handle: (doors) => sharesWaiting(doors) },
  { method: 'POST', path: /^\/api\/key-shares$/, handle: (doors, { body }) => bringShare(doors, body) },
  { method: 'GET', path: new RegExp(`^/api/export/(${UUID})$`), handle: (_, { id }) => exportState(id) },
  {
    method: 'GET',
    path: new RegExp(`^/api/export/(${UUID}/[0-9]{1,5})$`),
    handle: (doors, { id }) => exportPart(doors, id),
  },
  { method: 'GET', path: /^\/api\/search$/, handle: (doors) => searchStatus(doors) },
  { method: 'POST', path: /^\/api\/search$/, handle: (doors, { body }) => search(doors, body) },
  { method: 'POST', path: /^\/api\/search\/end$/, handle: (doors, { body }) => endSearch(doors, body) },
  { method: 'GET', path: /^\/api\/third$/, handle: (doors) => thirdState(doors) },
  { method: 'POST', path: /^\/api\/lock-key$/, handle: (doors, { body }) => pinLockKey(doors, body) },
  { method: 'POST', path: /^\/api\/third-lock$/, handle: (doors, { body }) => shareThird(doors, body) },
  { method: 'POST', path: /^\/api\/enrol-key$/, handle: (doors, { body }) => enrolKey(doors, body) },
  {
    method: 'GET',
    path: new RegExp(`^/api/approvals/(${UUID})$`),
    handle: async ({ pool, origins, keys }, { id }) => {
      const shown = await showApproval(pool, id);
      return { ...shown, organisation: keys.org, data: await shownData(pool, shown.bodies, origins.edge) };
    },
  },
  {
    method: 'POST',
    path: new RegExp(`^/api/approvals/(${UUID})/signatures$`),
    handle: (doors, { id, body }) => sign(doors, id, body),
  },
];

/** Glass's server and what ends with it. */
export interface GlassServer {
  readonly server: Server;
  close(): Promise<void>;
}

/**
 * The origin of touches: its pages and a few requests, on nothing but Node. It has no session; every act carries its own
 * touch, and the guards judge it.
 */
export function glassServer(doors: GlassDoors): GlassServer {
  const refusals = new Refusals('glass', doors.pool, doors.log);
  const pages = readPages(doors.pages);
  const server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 30_000, headersTimeout: 10_000 });
  server.maxConnections = 500;
  server.on('request', (request, response) => {
    void serve(doors, { refusals, pages }, request, response);
  });
  let relaying = false;
  const again = setInterval(() => {
    if (relaying) return;
    relaying = true;
    relay(doors)
      .catch((error: unknown) => doors.log.error('approvals could not be handed to the guards yet', error))
      .finally(() => {
        relaying = false;
      });
  }, RELAY_EVERY_MS);
  again.unref();
  const filling = keepFilled(doors);
  return {
    server,
    close: async () => {
      clearInterval(again);
      filling.close();
      server.close();
      server.closeAllConnections();
      await refusals.close();
    },
  };
}

async function serve(
  doors: GlassDoors,
  { refusals, pages }: { refusals: Refusals; pages: ReadonlyMap<string, PageFile> },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  response.setHeader('Cache-Control', 'no-store');
  try {
    if (request.headers.host !== new URL(doors.origins.glass).host) {
      throw new GlassError('wrong-origin', `This server answers as ${doors.origins.glass} only.`, { status: 421 });
    }
    const path = (request.url ?? '/').replace(/[?#].*$/s, '');
    if (path.startsWith('/api/')) sendJson(response, 200, await act(doors, path, request), 'application/json');
    else sendPage(response, request.method, path, pages);
  } catch (error) {
    const problem = toProblem(error);
    if (!(error instanceof BartizanError)) doors.log.error('a request failed', error);
    else if (problem.status < 500) refusals.count(problem.code, null);
    // What was not read of a refused body is not waited for.
    if (!request.complete) response.setHeader('Connection', 'close');
    sendJson(response, problem.status, problem, 'application/problem+json');
  }
}

async function act(doors: GlassDoors, path: string, request: IncomingMessage): Promise<unknown> {
  const known = ROUTES.filter((one) => one.path.test(path));
  if (known.length === 0) throw new GlassError('not-found', 'There is nothing at this address.', { status: 404 });
  const route = known.find((one) => one.method === request.method);
  if (route === undefined) throw new GlassError('method', `Use ${known[0]!.method} here.`, { status: 405 });
  const id = route.path.exec(path)![1] ?? '';
  if (route.method === 'GET') return route.handle(doors, { id, body: undefined });
  const site = request.headers['sec-fetch-site'];
  if (request.headers.origin !== doors.origins.glass || (site !== undefined && site !== 'same-origin')) {
    throw new GlassError('wrong-origin', 'Touches are taken from glass’s own pages only.', { status: 403 });
  }
  return route.handle(doors, { id, body: await readJson(request) });
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new GlassError('bad-request', 'Send JSON (Content-Type: application/json).', { status: 415 });
  }
  const tooLarge = () => new GlassError('too-large', 'A request may have at most 256 KiB.', { status: 413 });
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES) throw tooLarge();
  const parts: Buffer[] = [];
  let size = 0;
  // Not `for await`: leaving that early destroys the socket before the refusal is sent.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= BODY_BYTES) parts.push(part);
      else {
        request.pause();
        reject(tooLarge());
      }
    });
    request.on('end', resolve);
    request.on('error', () => reject(new GlassError('bad-request', 'The request ended too early.')));
  });
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new GlassError('bad-request', 'The body is not JSON. Nothing was changed.');
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown, type: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', type);
  response.end(JSON.stringify(body));
}

function sendPage(
  response: ServerResponse,
  method: string | undefined,
  path: string,
  pages: ReadonlyMap<string, PageFile>,
): void {
  if (method !== 'GET' && method !== 'HEAD') throw new GlassError('method', 'Use GET here.', { status: 405 });
  if (path === '/healthz') {
    response.setHeader('Content-Type', 'text/plain');
    response.end('ok\n');
    return;
  }
  const file = pages.get(path === '/' ? '/index.html' : path);
  if (file === undefined) throw new GlassError('not-found', 'There is nothing at this address.', { status: 404 });
  response.setHeader('Content-Type', file.type);
  response.setHeader('Cache-Control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
  response.end(file.bytes);
}
