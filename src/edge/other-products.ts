import type { Answer } from './answer.ts';

const page = (status: number, body: string): Answer => ({
  status,
  type: 'text/html;charset=UTF-8',
  body: Buffer.from(body),
});
const LOGIN = page(
  200,
  '<!DOCTYPE html><html><head><title>Sign In</title></head><body><form method="post" action="/mifs/j_spring_security_check"><input name="j_username"><input name="j_password" type="password"><input type="submit" value="Sign In"></form></body></html>',
);
const to = (place: string): Answer => ({ status: 302, headers: { Location: place } });

/**
 * What another device manager would say to the requests with which it was broken into. We are not it: whoever asks has
 * come to break in. The answers hold nothing of ours and keep the visitor busy; beyond these there is nothing.
 */
const FAMILIES: readonly (readonly [RegExp, Answer])[] = [
  // the unauthenticated API of 2023, CVE-2023-35078
  [
    /^\/mifs\/(aad|asfV3)\/api\/v[0-9]\/ping\/?$/i,
    {
      status: 200,
      type: 'application/json',
      body: Buffer.from('{"results":{"apiVersion":2.0,"vspVersion":"VSP 11.10.0.0 Build 44"}}'),
    },
  ],
  [
    /^\/mifs\/(aad|asfV3)\/api\/v[0-9]\//i,
    {
      status: 401,
      type: 'application/json',
      body: Buffer.from('{"messages":[{"type":"Error","messageKey":"com.auth","localizedMessage":"Unauthorized"}]}'),
    },
  ],
  // the expression injection of 2025, CVE-2025-4427 and 4428
  [
    /^\/mifs\/(rs|admin\/rest)\/api\/v[0-9]\/featureusage/i,
    {
      status: 400,
      type: 'application/json',
      body: Buffer.from('{"messages":[{"type":"Error","localizedMessage":"Invalid format"}]}'),
    },
  ],
  // the URL rewriting of 2026, CVE-2026-1281 and 1340: checks for it expect 404
  [/^\/mifs\/c\/(appstore|aftstore)\/fob\//i, page(404, '<html><body>Not Found</body></html>')],
  // the sleeping loader that waits for its parameter
  [/^\/mifs\/403\.jsp/i, page(403, '<html><body>Access Denied</body></html>')],
  [/^\/mifs\/(user\/)?login(\.jsp)?\/?$/i, LOGIN],
  [/^\/(mifs|mics)\/?$/i, to('/mifs/user/login.jsp')],
  [/^\/mics\//i, to('/mifs/user/login.jsp')],
];
const OURS = /^\/(mifs|mics)(\/|$)/i;

/** The answer for a path of such a product; undefined for any other path. */
export function otherProduct(path: string): Answer | undefined {
  if (!OURS.test(path)) return undefined;
  return FAMILIES.find(([pattern]) => pattern.test(path))?.[1] ?? page(404, '<html><body>Not Found</body></html>');
}
