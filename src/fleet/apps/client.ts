import { FleetError } from '../error.ts';

export const APPLE_APPS = 'https://vpp.itunes.apple.com/mdm/v2';
const TIMEOUT_MS = 30_000;
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_PAGES = 500;

/** The service said no, or nothing. Codes: `unreachable`, `throttled`, `unauthorized`, `refused`, or Apple's error number as `vpp-9…`. */
export class AppsProblem extends FleetError {
  /** Milliseconds that the service asked us to wait. */
  readonly waitMs: number | undefined;

  constructor(code: string, waitMs?: number) {
    super(code, `The licence service answered: ${code}.`, { status: 502 });
    this.waitMs = waitMs;
  }
}

/** What an sToken says of itself: base64 of JSON. */
export interface ServiceToken {
  readonly text: string;
  readonly organisation: string;
  /** Milliseconds. */
  readonly until: number;
}

/** Reads an sToken as Apple Business Manager gives it. Throws FleetError `bad-request`. */
export function readServiceToken(text: string): ServiceToken {
  const trimmed = text.trim();
  try {
    const value = JSON.parse(Buffer.from(trimmed, 'base64').toString('utf8')) as Record<string, unknown>;
    const until = Date.parse(String(value['expDate']).replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
    if (typeof value['token'] !== 'string' || !Number.isFinite(until)) throw new Error('members');
    return { text: trimmed, organisation: String(value['orgName'] ?? '').slice(0, 120), until };
  } catch (cause) {
    throw new FleetError('bad-request', 'This is not a content token of Apple Business Manager.', { cause });
  }
}

export interface Asset {
  readonly adamId: number;
  readonly pricingParam: string;
  readonly total: number;
  readonly available: number;
  readonly deviceAssignable: boolean;
}

interface ServiceConfig {
  readonly urls: Readonly<Record<string, string>>;
  readonly mostSerials: number;
}

export interface EventStatus {
  readonly state: 'pending' | 'complete' | 'failed';
  readonly failures: readonly { readonly serialNumber: string; readonly code: string }[];
}

/**
 * Speaks to Apple's licence service (Apps and Books, version 2): addresses and limits from its own configuration, licences
 * for serial numbers only. Never an Apple ID of a person.
 */
export class AppsClient {
  readonly #endpoint: string;
  readonly #token: ServiceToken;
  #config: ServiceConfig | undefined;

  constructor(endpoint: string, token: ServiceToken) {
    this.#endpoint = endpoint.replace(/\/$/, '');
    this.#token = token;
  }

  /** Every asset, page by page. */
  async assets(): Promise<Asset[]> {
    const pages = await this.#pages('getAssets', {}, 'assets');
    return pages.map((one) => ({
      adamId: Number(one['adamId']),
      pricingParam: one['pricingParam'] === 'PLUS' ? 'PLUS' : 'STDQ',
      total: Number(one['totalCount'] ?? 0),
      available: Number(one['availableCount'] ?? 0),
      deviceAssignable: one['deviceAssignable'] === true,
    }));
  }

  /** Serial numbers that hold a licence of an asset. */
  async holders(adamId: number): Promise<string[]> {
    const pages = await this.#pages('getAssignments', { adamId: String(adamId) }, 'assignments');
    return pages.flatMap((one) => (typeof one['serialNumber'] === 'string' ? [one['serialNumber']] : []));
  }

  /** Gives licences to devices, or takes them back. Answers the event to ask about. At most `mostSerials` at a time. */
  async change(what: 'associate' | 'disassociate', adamId: number, serialNumbers: readonly string[]): Promise<string> {
    const { urls } = await this.config();
    const answer = await this.#ask('POST', urls[`${what}Assets`] ?? `${this.#endpoint}/assets/${what}`, {
      assets: [{ adamId: String(adamId), pricingParam: 'STDQ' }],
      serialNumbers,
    });
    const event = answer['eventId'];
    if (typeof event !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(event)) throw new AppsProblem('refused');
    return event;
  }

  /** How far a change is. */
  async event(id: string): Promise<EventStatus> {
    const { urls } = await this.config();
    const answer = await this.#ask(
      'GET',
      withQuery(urls['eventStatus'] ?? `${this.#endpoint}/status`, { eventId: id }),
    );
    const failures = (Array.isArray(answer['failures']) ? answer['failures'] : []) as Record<string, unknown>[];
    const state = String(answer['eventStatus']).toLowerCase();
    return {
      state: state === 'complete' || state === 'failed' ? state : 'pending',
      failures: failures.map((one) => ({
        serialNumber: String(one['serialNumber'] ?? ''),
        code: /^\d{1,6}$/.test(String(one['errorCode'])) ? `vpp-${one['errorCode']}` : 'refused',
      })),
    };
  }

  /** The service's own addresses and limits, asked for once. */
  async config(): Promise<ServiceConfig> {
    if (this.#config !== undefined) return this.#config;
    const answer = await this.#ask('GET', `${this.#endpoint}/service/config`);
    const limits = (answer['limits'] ?? {}) as Record<string, unknown>;
    const origin = new URL(this.#endpoint).origin;
    const urls: Record<string, string> = {};
    for (const [name, url] of Object.entries((answer['urls'] ?? {}) as Record<string, unknown>)) {
      // The token goes where the operator said, and nowhere else that an answer names.
      if (typeof url === 'string' && URL.canParse(url) && new URL(url).origin === origin) urls[name] = url;
    }
    const most = Number(limits['maxSerialNumbers']);
    this.#config = { urls, mostSerials: Number.isSafeInteger(most) && most > 0 ? Math.min(most, 1_000) : 25 };
    return this.#config;
  }

  async #pages(name: string, query: Record<string, string>, member: string): Promise<Record<string, unknown>[]> {
    const { urls } = await this.config();
    const url = urls[name] ?? `${this.#endpoint}/${member}`;
    const found: Record<string, unknown>[] = [];
    let page: unknown = 0;
    for (let count = 0; typeof page === 'number' && count < MOST_PAGES; count += 1) {
      const answer = await this.#ask('GET', withQuery(url, { ...query, pageIndex: String(page) }));
      if (Array.isArray(answer[member])) found.push(...(answer[member] as Record<string, unknown>[]));
      const next: unknown = answer['nextPageIndex'];
      page = typeof next === 'number' && next > page ? next : undefined;
    }
    return found;
  }

  async #ask(method: 'GET' | 'POST', url: string, body?: object): Promise<Record<string, unknown>> {
    let answer: Response;
    let text = '';
    try {
      answer = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${this.#token.text}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      for await (const part of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
        text += Buffer.from(part).toString('utf8');
        if (text.length > MOST_BYTES) throw new AppsProblem('refused');
      }
    } catch (error) {
      throw error instanceof AppsProblem ? error : new AppsProblem('unreachable');
    }
    if (answer.status === 429 || answer.status === 503) {
      const wait = Number(answer.headers.get('retry-after'));
      throw new AppsProblem('throttled', Number.isFinite(wait) && wait > 0 ? wait * 1000 : undefined);
    }
    if (answer.status === 401) throw new AppsProblem('unauthorized');
    let value: Record<string, unknown>;
    try {
      value = JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>;
    } catch {
      throw new AppsProblem('refused');
    }
    const number = String(value['errorNumber'] ?? '');
    if (/^\d{1,6}$/.test(number)) throw new AppsProblem(`vpp-${number}`);
    if (!answer.ok) throw new AppsProblem('refused');
    return value;
  }
}

function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  const full = new URL(url);
  for (const [key, value] of Object.entries(query)) full.searchParams.set(key, value);
  return full.href;
}
