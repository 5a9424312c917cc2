import { createContext, useContext } from 'react';
import { packJson, unpackJson } from '../shared/bytes.ts';
import { api } from './client.ts';
import type { Session } from './model.ts';
import { go } from './router.ts';
import { newSessionKey, takeSessionKey } from './session-key.ts';

export const SessionContext = createContext<Session | undefined>(undefined);

/** The session of the signed-in admin; pages are only drawn while there is one. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error('no session');
  return session;
}

/** Whether the signed-in admin may change the fleet; the server asks the same again. */
export const useMayChange = (): boolean => useSession().role === 'administrator';

const BACK = 'return-to';

/** Leaves for glass with a fresh challenge; comes back to the page that was open. */
export async function leaveToSignIn(): Promise<void> {
  const { document: asked, glass } = await api.challenge(await newSessionKey());
  sessionStorage.setItem(BACK, location.pathname + location.search);
  location.assign(`${glass}/#sign-in=${packJson(asked)}&return=${encodeURIComponent(`${location.origin}/`)}`);
}

let finishing: Promise<Session> | undefined;

/** If glass sent us back with a signature, trades it for a session, once, and returns to where the person was. */
export function finishSignIn(): Promise<Session> | undefined {
  const signed = new URLSearchParams(location.hash.slice(1)).get('signed-in');
  if (signed === null) return finishing;
  const back = sessionStorage.getItem(BACK) ?? '/';
  sessionStorage.removeItem(BACK);
  history.replaceState(null, '', '/');
  go(back, { replace: true });
  let body: unknown;
  try {
    body = unpackJson(signed);
  } catch {
    return undefined;
  }
  finishing = takeSessionKey().then((key) => api.signIn({ ...(body as object), key }));
  return finishing;
}
