import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BartizanError } from '#base';
import { RESULT_BYTES, WireError } from '#wire';
import { AccountFlow, accountRoutes } from './account/flow.ts';
import type { AccountSettings } from './account/settings.ts';
import { ACME_LIMIT, acme, acmeTooLarge, isAcme } from './acme.ts';
import { deviceEnrolment } from './ade.ts';
import { type Answer, busy, later, notFound, ok, refused, slow } from './answer.ts';
import { Bodies, type BodyFault } from './bodies.ts';
import { checkIn } from './check-ins.ts';
import { CrlSource } from './crl.ts';
import { declaredData } from './declarative.ts';
import { Declared } from './declared.ts';
import { Deliveries } from './delivery.ts';
import { authenticateMessage, commandTurn, type DeviceDoors, showsOurs } from './device.ts';
import type { DownloadLimits } from './downloads.ts';
import { type EnrolDoors, openLink, scep } from './enrol.ts';
import { type InboundSettings, takeInbound } from './inbound.ts';
import { Issuers } from './issuers.ts';
import { listener } from './listener.ts';
import { otherProduct } from './other-products.ts';
import { PACKAGE_PATH, Packages } from './packages.ts';
import type { Refusal } from './refusals.ts';
import { Turns } from './turns.ts';
import { write } from './write.ts';

const MIB = 1024 * 1024;

interface Route {
  readonly methods: readonly string[];
  /** Bytes of a body; more is refused before it is read. */
  readonly limit: number;
  readonly handle: (request: Request) => Promise<Answer>;
}

interface Request {
  readonly method: string;
  readonly url: URL;
  readonly header: (name: string) => string | undefined;
  readonly body: Uint8Array;
}

/** What the device plane needs from outside. */
export type EdgeDoors = Omit<DeviceDoors, 'turns' | 'deliveries' | 'declared' | 'issuers'> &
  EnrolDoors & {
    /** The organisation's identity provider, for holders' own devices. */
    readonly account?: AccountSettings;
    /** How the provider of canary numbers signs, if there is one. */
    readonly inbound?: InboundSettings;
    /** How many packages of apps go out at once, and how fast. */
    readonly downloads?: DownloadLimits;
  };

/**
 * The device plane: a few routes, everything else is refused and counted. One-shot bodies, bounded in size and time;
 * the answer to "no command" is 200 with Content-Length 0.
 */
export function edgeServer(given: EdgeDoors): { server: Server; close(): Promise<void> } {
  const turns = new Turns(given.pool, given.log);
  const deliveries = new Deliveries(given);
  const declared = new Declared(given.pool, given.keys, given.clock);
  const issuers = new Issuers(given.pool, given.log);
  // Not spread: the origin of a test's server is known only after it listens.
  const doors: DeviceDoors & EnrolDoors = Object.assign(Object.create(given), { turns, deliveries, declared, issuers });
  const flow = given.account === undefined ? undefined : new AccountFlow(doors, given.account, given.secrets.channels);
  const routes = table(doors, flow, new Packages(doors, given.downloads), given.inbound);
  const server = listener(doors.refusals);
  const bodies = new Bodies();
  server.on('request', (request, response) => {
    void serve(doors, routes, bodies, request, response);
  });
  return {
    server,
    close: async () => {
      server.close();
      server.closeAllConnections();
      issuers.close();
      await turns.close();
    },
  };
}

function table(
  doors: DeviceDoors & EnrolDoors,
  flow: AccountFlow | undefined,
  packages: Packages,
  inbound: InboundSettings | undefined,
): ReadonlyMap<string, Route> {
  const signed = (then: typeof commandTurn) => async (request: Request) => {
    // Authenticate before parsing: nobody without one of our certificates reaches the property list parser.
    const signer = authenticateMessage(doors, request.header('mdm-signature'), request.body);
    const account = request.url.searchParams.get('account');
    return then(doors, signer, request.body, { host: request.header('host'), account });
  };
  const account = accountRoutes(flow);
  const crl = new CrlSource(doors.pool, doors.clock);
  return new Map<string, Route>([
    ['/enrol', { methods: ['GET'], limit: 0, handle: (request) => openLink(doors, request.url.pathname.slice(7)) }],
    [
      '/scep',
      {
        methods: ['GET', 'POST'],
        limit: 64 * 1024,
        handle: ({ url, body }) =>
          scep(doors, url.searchParams.get('operation'), url.searchParams.get('message'), body),
      },
    ],
    [
      '/ade',
      {
        methods: ['GET', 'POST'],
        limit: 64 * 1024,
        handle: ({ url, header, body }) =>
          deviceEnrolment(
            doors,
            body,
            url.searchParams.get('deviceinfo') ?? header('x-apple-aspen-deviceinfo') ?? null,
          ),
      },
    ],
    // Their queries hold names of accounts: no address is ever logged, and none is stored.
    [
      '/.well-known/com.apple.remotemanagement',
      { methods: ['GET'], limit: 0, handle: ({ url }) => account.discover(url.searchParams.get('model-family')) },
    ],
    [
      '/account',
      {
        methods: ['POST'],
        limit: 64 * 1024,
        handle: ({ body, header }) => account.enrol(body, header('authorization'), 'personal'),
      },
    ],
    [
      '/account/device',
      {
        methods: ['POST'],
        limit: 64 * 1024,
        handle: ({ body, header }) => account.enrol(body, header('authorization'), 'organisation'),
      },
    ],
    [
      '/account/sign-in',
      { methods: ['GET'], limit: 0, handle: ({ url }) => account.signIn(url.searchParams.get('user-identifier')) },
    ],
    [
      '/account/signed-in',
      { methods: ['GET'], limit: 0, handle: ({ url, header }) => account.signedIn(url.searchParams, header('cookie')) },
    ],
    // Some clients send both kinds to one URL; the content type tells them apart, as Apple's protocol has it.
    [
      '/mdm',
      {
        methods: ['PUT', 'POST'],
        limit: RESULT_BYTES,
        handle: (request) =>
          request.header('content-type')?.startsWith('application/x-apple-aspen-mdm-checkin')
            ? signed(checkIn)(request)
            : signed(commandTurn)(request),
      },
    ],
    [
      '/acme',
      {
        methods: ['GET', 'HEAD', 'POST'],
        limit: ACME_LIMIT,
        handle: ({ method, url, header, body }) =>
          acme(doors, { method, path: url.pathname, contentType: header('content-type'), body }),
      },
    ],
    ['/checkin', { methods: ['PUT', 'POST'], limit: MIB, handle: signed(checkIn) }],
    ['/crl', { methods: ['GET'], limit: 0, handle: () => crl.answer() }],
    ['/data', { methods: ['GET'], limit: 0, handle: (request) => declaredData(doors, request.url.pathname.slice(6)) }],
    [
      '/apps',
      {
        methods: ['GET', 'HEAD'],
        limit: 0,
        handle: ({ method, url, header }) => packages.answer(url.pathname, header('range'), method === 'HEAD'),
      },
    ],
    [
      '/hooks/inbound',
      {
        methods: ['POST'],
        limit: 64 * 1024,
        handle: async ({ body, header }) => {
          const answer = inbound === undefined ? notFound : await takeInbound(doors, inbound, { body, header });
          if (answer === refused) doors.refusals.count('inbound');
          return answer;
        },
      },
    ],
    ['/healthz', { methods: ['GET'], limit: 0, handle: async () => ok(Buffer.from('ok\n'), 'text/plain') }],
  ]);
}

async function serve(
  doors: DeviceDoors & EnrolDoors,
  routes: ReadonlyMap<string, Route>,
  bodies: Bodies,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  let close = false;
  try {
    const url = new URL(request.url ?? '/', 'http://edge');
    const route = routes.get(routeName(url.pathname));
    const fault = routeFault(route, request, url);
    if (fault !== undefined || route === undefined) {
      doors.refusals.count(fault ?? 'unknown-route');
      const other = fault === 'decoy-path' ? otherProduct(url.pathname) : undefined;
      answer = other ?? (fault === 'too-large' ? tooLarge(url) : fault === 'method' ? refused : notFound);
      close = true;
    } else {
      const mayBeLarge = () => showsOurs(doors, single(request.headers['mdm-signature']));
      const body = await bodies.read(request, route.limit, mayBeLarge);
      if (typeof body === 'string') {
        doors.refusals.count(body);
        answer = unread(body, url);
        close = true;
      } else {
        try {
          answer = await route.handle({
            method: request.method ?? '',
            url,
            body: body.bytes,
            header: (name) => single(request.headers[name]),
          });
        } finally {
          body.done();
        }
      }
    }
  } catch (error) {
    answer = explain(doors, error);
  }
  await write(response, answer, close, doors.log);
}

const tooLarge = (url: URL): Answer => (isAcme(url.pathname) ? acmeTooLarge : refused);
const unread = (fault: BodyFault, url: URL): Answer =>
  fault === 'too-large' ? tooLarge(url) : fault === 'too-slow' ? slow : later;

/** The name of the route that a path belongs to; the bare names of those with a part behind them lead nowhere. */
function routeName(path: string): string {
  const [, linked] = /^(\/enrol|\/data)(?:\/[A-Za-z0-9_-]{43})$/.exec(path) ?? [];
  if (linked !== undefined) return linked;
  if (isAcme(path)) return '/acme';
  if (PACKAGE_PATH.test(path)) return '/apps';
  return ['/enrol', '/data', '/acme', '/apps'].includes(path) ? '' : path;
}

function routeFault(route: Route | undefined, request: IncomingMessage, url: URL): Refusal | undefined {
  // Known exploit families ask for paths of other products; they are counted apart because they mean intent.
  if (route === undefined && otherProduct(url.pathname) !== undefined) return 'decoy-path';
  if (route === undefined)
    return /^\/(api\/v\d|wp-|\.env|\.git|cgi-bin)/i.test(url.pathname) ? 'probe' : 'unknown-route';
  if (!route.methods.includes(request.method ?? '')) return 'method';
  const length = Number(request.headers['content-length'] ?? 0);
  return length > route.limit ? 'too-large' : undefined;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? undefined : value;
}

function explain(doors: DeviceDoors, error: unknown): Answer {
  if (error instanceof WireError) {
    const reasons: Record<string, Refusal> = {
      signature: 'signature',
      legacy: 'legacy',
      cms: 'signature',
      certificate: 'certificate',
      scep: 'scep',
      attestation: 'attestation',
      'machine-info': 'machine-info',
    };
    doors.refusals.count(reasons[error.code] ?? 'message');
    return refused;
  }
  if (error instanceof BartizanError) {
    doors.refusals.count('message');
    return refused;
  }
  doors.log.error('a device request failed', error);
  return busy;
}
