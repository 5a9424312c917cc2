import { createHmac } from 'node:crypto';
import type { ServerToken } from './token.ts';

/** Percent-encoding of RFC 5849 section 3.6: everything but letters, digits, hyphen, dot, underscore and tilde. */
export function percent(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `Authorization` of one request, signed with HMAC-SHA1 (RFC 5849 section 3.4.2). `url` without a query. */
export function oauthHeader(
  token: ServerToken,
  request: { readonly method: string; readonly url: string; readonly nonce: string; readonly now: number },
): string {
  const parameters: Record<string, string> = {
    oauth_consumer_key: token.consumerKey,
    oauth_nonce: request.nonce,
    oauth_signature_method: 'HMAC-SHA1',
    oauth_timestamp: String(Math.floor(request.now / 1000)),
    oauth_token: token.accessToken,
    oauth_version: '1.0',
  };
  const normal = Object.keys(parameters)
    .sort()
    .map((name) => `${percent(name)}=${percent(parameters[name]!)}`)
    .join('&');
  const base = [request.method.toUpperCase(), percent(request.url), percent(normal)].join('&');
  const key = `${percent(token.consumerSecret)}&${percent(token.accessSecret)}`;
  const signature = createHmac('sha1', key).update(base).digest('base64');
  const all = Object.entries({ realm: 'ADM', ...parameters, oauth_signature: signature });
  return `OAuth ${all.map(([name, value]) => `${name}="${percent(value)}"`).join(', ')}`;
}
