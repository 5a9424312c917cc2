/** An RFC 9457 problem, or what we say when there is none. `title` is written for people. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly instance: string | undefined;

  constructor(status: number, code: string, title: string, instance?: string) {
    super(title);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.instance = instance;
  }
}

const UNREACHABLE = 'The server cannot be reached. Nothing was sent; try again in a moment.';

/** One request to our own origin. Throws Problem unless it succeeds; `status` 0 means that no answer came. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { redirect: 'error', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'unreachable', UNREACHABLE);
  }
  if (response.ok) return response;
  const body = jsonOf(await response.text());
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const say = (name: string) => (typeof problem[name] === 'string' ? problem[name] : undefined);
  const title = say('detail') ?? say('title') ?? `The server answered ${response.status}. Nothing was changed.`;
  throw new Problem(response.status, say('code') ?? 'unknown', title, say('instance'));
}

/** One JSON exchange with our own origin. Throws Problem. */
export async function exchange<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await request(path, init);
  return jsonOf(await response.text()) as T;
}

function jsonOf(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(
    0,
    'page',
    'This page failed to do that. Reload it; if it happens again, tell your administrator.',
  );
}
