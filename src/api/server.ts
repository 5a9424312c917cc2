import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { BartizanError, toProblem } from '#base';
import { Refusals } from '#log';
import { readPages, securityHeaders } from '#page';
import { boundSession } from './bound.ts';
import type { ApiDoors } from './doors.ts';
import { ApiError } from './error.ts';
import { openApi } from './openapi.ts';
import { check, type Route } from './route.ts';
import { adeRoutes } from './routes/ade.ts';
import { alarmRoutes } from './routes/alarms.ts';
import { alertRoutes } from './routes/alerts.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { appRoutes } from './routes/apps.ts';
import { certificateRoutes } from './routes/certificates.ts';
import { claimRoutes } from './routes/claims.ts';
import { declarationRoutes } from './routes/declarations.ts';
import { deviceRoutes } from './routes/devices.ts';
import { enrolmentRoutes } from './routes/enrolment.ts';
import { groupRoutes } from './routes/groups.ts';
import { identityRoutes } from './routes/identity.ts';
import { incidentRoutes } from './routes/incidents.ts';
import { intentRoutes } from './routes/intents.ts';
import { keyRoutes } from './routes/keys.ts';
import { messageRoutes } from './routes/messages.ts';
import { overviewRoutes } from './routes/overview.ts';
import { peopleRoutes } from './routes/people.ts';
import { profileRoutes } from './routes/profiles.ts';
import { pushRoutes } from './routes/push.ts';
import { retirementRoutes } from './routes/retirements.ts';
import { rolloutRoutes } from './routes/rollouts.ts';
import { rosterRoutes } from './routes/roster.ts';
import { searchRoutes } from './routes/search.ts';
import { sessionRoutes } from './routes/session.ts';
import { updateRoutes } from './routes/updates.ts';
import type { Session } from './session.ts';

export const ROUTES: readonly Route[] = [
  ...sessionRoutes,
  ...overviewRoutes,
  ...declarationRoutes,
  ...deviceRoutes,
  ...certificateRoutes,
  ...updateRoutes,
  ...intentRoutes,
  ...profileRoutes,
  ...rolloutRoutes,
  ...appRoutes,
  ...groupRoutes,
  ...retirementRoutes,
  ...enrolmentRoutes,
  ...claimRoutes,
  ...adeRoutes,
  ...identityRoutes,
  ...peopleRoutes,
  ...searchRoutes,
  ...messageRoutes,
  ...pushRoutes,
  ...alertRoutes,
  ...alarmRoutes,
  ...incidentRoutes,
  ...approvalRoutes,
  ...rosterRoutes,
  ...keyRoutes,
];

const HEADERS = securityHeaders({ passkeys: false });
const BODY_BYTES = 1024 * 1024;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PARAMS: Readonly<Record<string, RegExp>> = {
  handle: /^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/,
  id: UUID,
  n: /^(?:0|[1-9][0-9]{0,3})$/,
  file: new RegExp(`${UUID.source.slice(0, -1)}\\.(md|json)$`),
};

/** The console's server and what ends with it. */
export interface ConsoleServer {
  readonly server: Server;
  close(): Promise<void>;
}

/**
 * The console: API and pages on one origin, handles only. Every request passes the same gates in the same order: host,
 * origin, session, role, form; what fails is a problem (RFC 9457) that says what to do, and an event.
 */
export function consoleServer(doors: ApiDoors): ConsoleServer {
  const refusals = new Refusals('console', doors.pool, doors.log);
  const app = new Hono();
  const host = new URL(doors.origins.console).host;
  app.use('*', async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
  });
  app.use('*', async (context, next) => {
    if (context.req.header('host') !== host) {
      throw new ApiError('wrong-origin', `This server answers as ${doors.origins.console} only.`, { status: 421 });
    }
    await next();
  });
  app.use('/api/*', async (context, next) => {
    // Nothing of ours sends this header here.
    if (doors.isBait?.(context.req.header('authorization'))) refusals.count('bait-token', null);
    await next();
    context.header('Cache-Control', 'no-store');
  });
  // Told by its length alone: Hono's own limit rebuilds a request without one, and the server's requests do not bear that,
  // so that every DELETE failed. Node holds a body to the length it gave.
  app.use('/api/*', async (context, next) => {
    if (context.req.header('transfer-encoding') !== undefined) {
      throw new ApiError('bad-request', 'Say how long the body is (Content-Length).', { status: 411 });
    }
    if (Number(context.req.header('content-length') ?? 0) > BODY_BYTES) {
      throw new ApiError('too-large', 'A request may have at most 1 MiB.', { status: 413 });
    }
    await next();
  });
  app.get('/healthz', (context) => context.text('ok\n'));
  const contract = openApi(ROUTES, doors.origins.console);
  app.get('/api/openapi.json', (context) => context.json(contract));
  for (const one of ROUTES) {
    const path = `/api${one.path.replace(/\{([a-z]+)\}/g, ':$1')}`;
    app.on(one.method, path, (context) => serve(doors, one, context));
  }
  app.all('/api/*', (context) => {
    const known = ROUTES.filter((one) => matches(one.path, context.req.path.slice(4)));
    if (known.length === 0) throw new ApiError('not-found', 'There is nothing at this address.', { status: 404 });
    throw new ApiError('method', `Use ${known.map((one) => one.method).join(' or ')} here.`, { status: 405 });
  });
  const pages = readPages(doors.pages);
  app.all('*', (context) => {
    if (context.req.method !== 'GET' && context.req.method !== 'HEAD') {
      throw new ApiError('method', 'Use GET here.', { status: 405 });
    }
    const { path } = context.req;
    // Every view of the console is an address of the one page.
    const file = pages.get(path) ?? (/\.[a-z0-9]+$/i.test(path) ? undefined : pages.get('/index.html'));
    if (file === undefined) throw new ApiError('not-found', 'There is nothing at this address.', { status: 404 });
    return context.body(new Uint8Array(file.bytes), 200, {
      'Content-Type': file.type,
      'Cache-Control': file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
  });
  app.onError((error, context) => {
    const problem = toProblem(error);
    if (error instanceof BartizanError) {
      if (problem.status < 500 && problem.status !== 401) refusals.count(problem.code, actorOf(context));
    } else {
      doors.log.error('a request failed', error);
    }
    context.header('Cache-Control', 'no-store');
    return context.json(problem, problem.status as 400, { 'Content-Type': 'application/problem+json' });
  });
  const server = createServer(
    { maxHeaderSize: 16 * 1024, requestTimeout: 30_000, headersTimeout: 10_000 },
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  server.maxConnections = 1_000;
  return {
    server,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await refusals.close();
    },
  };
}

const actors = new WeakMap<Request, string>();
const actorOf = (context: Context): string | null => actors.get(context.req.raw) ?? null;

function matches(pattern: string, path: string): boolean {
  const parts = path.split('/');
  const wanted = pattern.split('/');
  return wanted.length === parts.length && wanted.every((part, i) => part.startsWith('{') || part === parts[i]);
}

async function serve(doors: ApiDoors, one: Route, context: Context): Promise<Response> {
  if (one.method !== 'GET') fromOurPage(doors, context);
  const session = await authorise(doors, one, context);
  const query = one.query === undefined ? undefined : check(one.query, context.req.query(), 'The query');
  const body = one.body === undefined ? undefined : check(one.body, await readJson(context), 'The body');
  const bytes = one.bytes === true ? await readBytes(context) : new Uint8Array(0);
  const param = (name: string): string => {
    const value = (context.req.param(name) ?? '').toLowerCase();
    if (!(PARAMS[name]?.test(value) ?? false)) {
      throw new ApiError('not-found', 'There is nothing at this address.', { status: 404 });
    }
    return value;
  };
  const answer = await one.handle({ doors, context, session: session as Session, body, query, param, bytes });
  if (answer instanceof Response) return answer;
  return answer === undefined ? context.body(null, 204) : context.json(answer);
}

/** A write comes from our own page: its Origin, and a header that no form can send (in addition to SameSite=Strict). */
function fromOurPage(doors: ApiDoors, context: Context): void {
  const site = context.req.header('sec-fetch-site');
  if (
    context.req.header('origin') !== doors.origins.console ||
    context.req.header('x-bartizan') !== '1' ||
    (site !== undefined && site !== 'same-origin')
  ) {
    throw new ApiError('wrong-origin', 'Writes are taken from the console’s own pages only.', { status: 403 });
  }
}

async function authorise(doors: ApiDoors, one: Route, context: Context): Promise<Session | undefined> {
  if (one.for === 'anyone') return undefined;
  const session = await boundSession(doors, context);
  if (session === undefined) {
    throw new ApiError('signed-out', 'You are not signed in, or your session has ended. Sign in again.', {
      status: 401,
    });
  }
  actors.set(context.req.raw, session.admin);
  if (one.for !== 'all' && !one.for.includes(session.role)) {
    throw new ApiError('not-allowed', `Your role does not do this; it takes: ${one.for.join(' or ')}.`, {
      status: 403,
    });
  }
  return session;
}

async function readBytes(context: Context): Promise<Uint8Array> {
  if (!/^application\/octet-stream(;|$)/i.test(context.req.header('content-type') ?? '')) {
    throw new ApiError('bad-request', 'Send bytes (Content-Type: application/octet-stream).', { status: 415 });
  }
  return new Uint8Array(await context.req.arrayBuffer());
}

async function readJson(context: Context): Promise<unknown> {
  if (!/^application\/json(;|$)/i.test(context.req.header('content-type') ?? '')) {
    throw new ApiError('bad-request', 'Send JSON (Content-Type: application/json).', { status: 415 });
  }
  const text = await context.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('bad-request', 'The body is not JSON. Nothing was changed.');
  }
}
