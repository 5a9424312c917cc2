import { utf8 } from '../shared/bytes.ts';
import { exchange, Problem, request } from '../shared/problem.ts';
import type {
  Admin,
  Alert,
  AlertDetail,
  Approval,
  Device,
  DeviceDetail,
  Exposure,
  Incident,
  IncidentDetail,
  Lock,
  Overview,
  Page,
  Person,
  Push,
  Session,
} from './model.ts';
import { learnTime, proofFor } from './session-key.ts';

let onExpired: () => void = () => {};

/** Called once the server says that nobody is signed in any more. */
export function whenExpired(listener: () => void): void {
  onExpired = listener;
}

export async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  return expiring(path, () => proven((path, init) => exchange<T>(path, init), `/api${path}`, init));
}

/** A file of the console's API. A plain link would go without the proof that this browser holds the session's key. */
export async function file(path: string): Promise<Blob> {
  return expiring(path, async () => (await proven(request, `/api${path}`, {})).blob());
}

async function expiring<T>(path: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Problem && error.status === 401 && path !== '/session') onExpired();
    throw error;
  }
}

/** One request with the proof that this browser holds the session's key; once more if only the clocks differ. */
async function proven<T>(
  exchange: (path: string, init: RequestInit) => Promise<T>,
  path: string,
  init: RequestInit,
): Promise<T> {
  const ask = async () => {
    const proof = await proofFor(init.method ?? 'GET', path, await bytesOf(init.body));
    const headers = { ...(init.headers as Record<string, string>), ...(proof && { 'x-bartizan-proof': proof }) };
    return exchange(path, { ...init, headers });
  };
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'proof-stale')) throw error;
    await learnTime();
    return ask();
  }
}

async function bytesOf(body: RequestInit['body']): Promise<Uint8Array<ArrayBuffer>> {
  if (body === undefined || body === null) return new Uint8Array(0);
  return typeof body === 'string' ? utf8(body) : new Uint8Array(await new Response(body).arrayBuffer());
}

export function send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  return call<T>(path, {
    method,
    headers: { 'x-bartizan': '1', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

export function query(path: string, options: Readonly<Record<string, string | number | null | undefined>>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(options)) {
    if (value !== null && value !== undefined && value !== '') search.set(key, String(value));
  }
  return search.size === 0 ? path : `${path}?${search}`;
}

const one = encodeURIComponent;
type Get = AbortSignal | undefined;
type Filter = Readonly<Record<string, string | number | null | undefined>>;

/** The console's API, one function per question or act. Reads take a signal, so that a page that is left stops asking. */
export const api = {
  session: (signal?: Get) => call<Session | undefined>('/session', { signal: signal ?? null }),
  challenge: (key: string) => send<{ document: object; glass: string }>('POST', '/session/challenge', { key }),
  signIn: (signed: unknown) => send<Session>('POST', '/session', signed),
  signOut: () => send<void>('DELETE', '/session'),
  overview: (signal?: Get) => call<Overview>('/overview', { signal: signal ?? null }),
  devices: (filter: Filter, signal?: Get) => call<Page<Device>>(query('/devices', filter), { signal: signal ?? null }),
  device: (handle: string, signal?: Get) => call<DeviceDetail>(`/devices/${one(handle)}`, { signal: signal ?? null }),
  intent: (body: { verb: string; devices: readonly string[]; params: object; purpose: string; emergency?: string }) =>
    send<{ id: string; state: string; approval: string | null }>('POST', '/intents', body),
  people: (filter: Filter, signal?: Get) => call<Page<Person>>(query('/people', filter), { signal: signal ?? null }),
  push: (signal?: Get) => call<Push>('/push', { signal: signal ?? null }),
  alerts: (filter: Filter, signal?: Get) => call<Page<Alert>>(query('/alerts', filter), { signal: signal ?? null }),
  alert: (id: string, signal?: Get) => call<AlertDetail>(`/alerts/${one(id)}`, { signal: signal ?? null }),
  acknowledge: (id: string) => send<void>('POST', `/alerts/${one(id)}/acknowledge`, {}),
  linkAlert: (id: string, incident: string) => send<void>('POST', `/alerts/${one(id)}/incident`, { incident }),
  incidents: (signal?: Get) => call<Page<Incident>>('/incidents', { signal: signal ?? null }),
  incident: (id: string, signal?: Get) => call<IncidentDetail>(`/incidents/${one(id)}`, { signal: signal ?? null }),
  openIncident: (body: { title: string; windowFrom: string; principal: string | null }) =>
    send<Incident>('POST', '/incidents', body),
  confirmT0: (id: string, body: { t0: string; reason: string }) =>
    send<Incident>('POST', `/incidents/${one(id)}/t0`, body),
  addNote: (id: string, text: string) => send<void>('POST', `/incidents/${one(id)}/notes`, { text }),
  setStatus: (id: string, status: 'contained' | 'closed') =>
    send<Incident>('POST', `/incidents/${one(id)}/status`, { status }),
  makeExposure: (id: string) => send<Exposure>('POST', `/incidents/${one(id)}/exposure`, {}),
  exposureFile: (id: string, exposure: string, form: 'md' | 'json') =>
    `/incidents/${one(id)}/exposures/${one(exposure)}.${form}`,
  approvals: (filter: Filter, signal?: Get) =>
    call<Page<Approval>>(query('/approvals', filter), { signal: signal ?? null }),
  locks: (signal?: Get) => call<Page<Lock>>('/locks', { signal: signal ?? null }),
  lock: (body: { scope: string; target: string; reason: string }) => send<{ id: string }>('POST', '/locks', body),
  askUnlock: (lock: string, purpose: string) =>
    send<{ approval: string }>('POST', `/locks/${one(lock)}/unlock`, { purpose }),
  admins: (signal?: Get) => call<Page<Admin>>('/admins', { signal: signal ?? null }),
  invite: (body: { admin: string; role: string; purpose: string }) =>
    send<{ approval: string; link: string }>('POST', '/admins/invitations', body),
} as const;
