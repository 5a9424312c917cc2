import type { Context } from 'hono';
import { getCookie } from 'hono/cookie';
import { emit } from '#log';
import type { ApiDoors } from './doors.ts';
import { ApiError } from './error.ts';
import { PROOF, type ProofFault, Proofs } from './proof.ts';
import { type Session, sessionOf } from './session.ts';

export const COOKIE = 'bartizan_session';

const proofs = new WeakMap<ApiDoors, Proofs>();
/** When a failure of a session was last told: once a minute, so that a thief who tries on fills nothing and hides nobody else. */
const told = new Map<string, number>();
const TOLD_AGAIN_MS = 60_000;

/**
 * The session of a request, if the request was made by the browser that signed in: the cookie says which session, the proof
 * that its key is there. A cookie alone is somebody else's, which is an event. Undefined if there is no session.
 * Throws `not-this-browser`, `proof-stale`.
 */
export async function boundSession(doors: ApiDoors, context: Context): Promise<Session | undefined> {
  const session = await sessionOf(doors.pool, getCookie(context, COOKIE) ?? '');
  if (session === undefined) return undefined;
  if (!proofs.has(doors)) proofs.set(doors, new Proofs(doors.now));
  const { pathname, search } = new URL(context.req.url);
  const { method } = context.req;
  const bare = method === 'GET' || method === 'HEAD' || Number(context.req.header('content-length') ?? 0) === 0;
  const body = bare ? new Uint8Array(0) : new Uint8Array(await context.req.arrayBuffer());
  const request = { console: doors.origins.console, method, path: `${pathname}${search}`, body };
  const fault = proofs.get(doors)!.fault(context.req.header(PROOF), session.boundKey, request);
  if (fault === undefined) return session;
  if (fault === 'stale') {
    throw new ApiError('proof-stale', 'This computer’s clock differs from the server’s. Try again.', {
      status: 401,
    });
  }
  await tell(doors, session, fault);
  throw new ApiError('not-this-browser', 'This session belongs to another browser. Sign in here.', { status: 401 });
}

async function tell(doors: ApiDoors, session: Session, fault: ProofFault): Promise<void> {
  const now = doors.now();
  if (now - (told.get(session.id) ?? 0) < TOLD_AGAIN_MS) return;
  for (const [id, at] of told) if (now - at >= TOLD_AGAIN_MS) told.delete(id);
  told.set(session.id, now);
  const detail = { session: session.id, fault, key: session.boundDigest };
  await emit(doors.pool, { kind: 'auth.binding_failed', actor: session.admin, detail });
}
