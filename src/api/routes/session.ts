import { deleteCookie, setCookie } from 'hono/cookie';
import * as z from 'zod';
import { type Caps, parseAssertion, parseSignIn } from '#seal';
import { boundSession, COOKIE } from '../bound.ts';
import type { ApiDoors } from '../doors.ts';
import { route } from '../route.ts';
import { endSession, newChallenge, type Session, signIn } from '../session.ts';

const key = z.string().regex(/^[A-Za-z0-9_-]{60,300}$/);
const signed = z.strictObject({
  key,
  document: z.unknown().transform((value) => parseSignIn(value)),
  assertion: z.unknown().transform((value) => parseAssertion(value)),
});

export const sessionRoutes = [
  route({
    method: 'GET',
    path: '/session',
    summary: 'Who is signed in; no content if nobody is.',
    for: 'anyone',
    handle: async ({ doors, context }) => {
      const session = await boundSession(doors, context);
      return session && describe(doors, session);
    },
  }),
  route({
    method: 'POST',
    path: '/session/challenge',
    summary: 'A document to sign on glass, for the browser with this key.',
    for: 'anyone',
    body: z.strictObject({ key }),
    handle: ({ doors, body }) => ({ document: newChallenge(doors, body.key), glass: doors.origins.glass }),
  }),
  route({
    method: 'POST',
    path: '/session',
    summary: 'Signs in with a document that was touched on glass.',
    for: 'anyone',
    body: signed,
    handle: async ({ doors, context, body }) => {
      const { session, token } = await signIn(doors, body);
      setCookie(context, COOKIE, token, {
        path: '/',
        httpOnly: true,
        sameSite: 'Strict',
        secure: doors.origins.console.startsWith('https:'),
        expires: session.expiresAt,
      });
      return describe(doors, session);
    },
  }),
  route({
    method: 'DELETE',
    path: '/session',
    summary: 'Signs out.',
    for: 'all',
    handle: async ({ doors, context, session }) => {
      await endSession(doors.pool, session);
      deleteCookie(context, COOKIE, { path: '/' });
      return undefined;
    },
  }),
];

async function describe(doors: ApiDoors, session: Session) {
  const caps = await doors.ledger.call<{ caps: Caps }>('roster', {}, { timeoutMs: 1_000 }).then(
    (answer) => answer.caps,
    () => null,
  );
  return {
    admin: session.admin,
    role: session.role,
    expiresAt: session.expiresAt,
    glass: doors.origins.glass,
    caps: caps === null ? null : { perTouch: caps.perTouch },
    demo: doors.demo,
  };
}
