import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Stock {
  total: number;
  readonly holders: Set<string>;
}

interface Event {
  looks: number;
  readonly failures: { adamId: string; serialNumber: string; errorCode: number; errorMessage: string }[];
}

const PAGE = 3;

/**
 * A licence service that plays Apple's Apps and Books, version 2: bearer token, own addresses and limits, pages, changes
 * that take effect after a while and are asked about by their event, and faults on purpose.
 */
export class VppService {
  readonly stock = new Map<string, Stock>();
  /** Answers 429 so many more times, asking to wait `retryAfter` seconds. */
  throttle = { times: 0, retryAfter: 1 };
  /** How often an event is asked about before it is complete. */
  slow = 1;
  /** Serial numbers that are refused. */
  readonly unknownSerials = new Set<string>();
  readonly asked: string[] = [];
  /** True if anything ever named a person. */
  sawPerson = false;
  readonly #events = new Map<string, Event>();
  readonly #token: string;
  #server: Server | undefined;
  #origin = '';

  constructor(validDays = 365) {
    const expDate = new Date(Date.now() + validDays * 86_400_000).toISOString().replace(/\.\d+Z$/, '+0000');
    this.#token = Buffer.from(JSON.stringify({ token: randomUUID(), expDate, orgName: 'Example Agency' })).toString(
      'base64',
    );
  }

  /** The token file that Apple Business Manager would give. */
  get token(): string {
    return this.#token;
  }

  async listen(): Promise<string> {
    const server = createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return `${this.#origin}/mdm/v2`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) =>
      this.#server === undefined ? resolve() : this.#server.close(() => resolve()),
    );
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    const url = new URL(request.url ?? '/', this.#origin);
    const path = url.pathname.replace('/mdm/v2', '');
    this.asked.push(`${request.method} ${path}`);
    if (/clientUserId|managedAppleId|email/i.test(body + url.search)) this.sawPerson = true;
    const say = (status: number, value: object, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(value));
    };
    if (request.headers.authorization !== `Bearer ${this.#token}`)
      return say(401, { errorNumber: 9622, errorMessage: 'Invalid authentication token.' });
    if (this.throttle.times > 0) {
      this.throttle.times -= 1;
      return say(429, {}, { 'retry-after': String(this.throttle.retryAfter) });
    }
    const base = `${this.#origin}/mdm/v2`;
    switch (`${request.method} ${path}`) {
      case 'GET /service/config':
        return say(200, {
          urls: {
            getAssets: `${base}/assets`,
            getAssignments: `${base}/assignments`,
            associateAssets: `${base}/assets/associate`,
            disassociateAssets: `${base}/assets/disassociate`,
            eventStatus: `${base}/status`,
          },
          limits: { maxAssets: 25, maxSerialNumbers: 4 },
        });
      case 'GET /assets':
        return say(
          200,
          this.#page(
            url,
            'assets',
            [...this.stock].map(([adamId, { total, holders }]) => ({
              ...{ adamId, pricingParam: 'STDQ', productType: 'App', deviceAssignable: true, revocable: true },
              ...{ totalCount: total, assignedCount: holders.size, availableCount: total - holders.size },
            })),
          ),
        );
      case 'GET /assignments': {
        const adamId = url.searchParams.get('adamId') ?? '';
        const holders = [...(this.stock.get(adamId)?.holders ?? [])];
        return say(
          200,
          this.#page(
            url,
            'assignments',
            holders.map((serialNumber) => ({ adamId, pricingParam: 'STDQ', serialNumber })),
          ),
        );
      }
      case 'POST /assets/associate':
      case 'POST /assets/disassociate':
        return this.#change(path.endsWith('/associate'), body, say);
      case 'GET /status': {
        const event = this.#events.get(url.searchParams.get('eventId') ?? '');
        if (event === undefined) return say(400, { errorNumber: 9720, errorMessage: 'Unknown event.' });
        event.looks += 1;
        if (event.looks <= this.slow) return say(200, { eventStatus: 'PENDING' });
        return say(200, { eventStatus: event.failures.length > 0 ? 'FAILED' : 'COMPLETE', failures: event.failures });
      }
      default:
        return say(404, {});
    }
  }

  #page(url: URL, member: string, all: readonly object[]): object {
    const index = Number(url.searchParams.get('pageIndex') ?? 0);
    const pages = Math.max(1, Math.ceil(all.length / PAGE));
    return {
      [member]: all.slice(index * PAGE, (index + 1) * PAGE),
      ...{ currentPageIndex: index, size: all.length, totalPages: pages },
      ...(index + 1 < pages ? { nextPageIndex: index + 1 } : {}),
    };
  }

  #change(give: boolean, body: string, say: (status: number, value: object) => void): void {
    const { assets, serialNumbers } = JSON.parse(body) as { assets: { adamId: string }[]; serialNumbers: string[] };
    if (serialNumbers.length > 4) {
      say(400, { errorNumber: 9610, errorMessage: 'Too many serial numbers.' });
      return;
    }
    const event: Event = { looks: 0, failures: [] };
    for (const { adamId } of assets)
      for (const serialNumber of serialNumbers) {
        const stock = this.stock.get(adamId);
        const fail = (errorCode: number, errorMessage: string) =>
          void event.failures.push({ adamId, serialNumber, errorCode, errorMessage });
        if (stock === undefined) fail(9709, 'Asset not found.');
        else if (!give) stock.holders.delete(serialNumber);
        else if (this.unknownSerials.has(serialNumber)) fail(9637, 'The serial number is unknown.');
        // Giving it again to who has it is fine.
        else if (!stock.holders.has(serialNumber) && stock.holders.size >= stock.total)
          fail(9616, 'No licence is left.');
        else stock.holders.add(serialNumber);
      }
    const eventId = randomUUID();
    this.#events.set(eventId, event);
    say(200, { eventId });
  }
}
