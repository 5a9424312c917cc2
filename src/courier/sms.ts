import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import type { Sealed } from '#base';
import type { MessageText } from '#seal';
import type { Gateway, Outcome } from './outcome.ts';
import type { SmsSettings } from './settings.ts';

const MOST_ANSWER = 64 * 1024;

/** Posts messages to an HTTP gateway. Every try bears the message's id; redirects are refusals. */
export function smsGateway(settings: SmsSettings): Gateway {
  const url = new URL(settings.url);
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
  if (settings.bearer !== undefined) headers['authorization'] = `Bearer ${settings.bearer}`;
  if (settings.basic !== undefined) {
    const { user, password } = settings.basic;
    headers['authorization'] = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }
  return {
    send: (to, message, id) => {
      const own = settings.idempotencyHeader === undefined ? headers : { ...headers, [settings.idempotencyHeader]: id };
      return post(url, own, bodyOf(settings.body, to, message, id), settings);
    },
    close: () => {},
  };
}

/** Fills the texts of a template, and nothing but texts: a value can not become structure. */
function bodyOf(template: unknown, to: Sealed<string>, message: MessageText, id: string): Buffer {
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string') {
      return to.use((number) =>
        value.replace(/\{(to|text|id)\}/g, (_, name) => (name === 'to' ? number : name === 'text' ? message.text : id)),
      );
    }
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
  };
  return Buffer.from(JSON.stringify(fill(template)));
}

function post(
  url: URL,
  headers: Record<string, string>,
  body: Buffer,
  settings: Pick<SmsSettings, 'ca' | 'timeoutSeconds' | 'idempotencyHeader'>,
): Promise<Outcome> {
  // Where the gateway tells one message from two, doubt is no reason not to ask again.
  const doubt = (reason: string): Outcome =>
    settings.idempotencyHeader === undefined ? { end: 'uncertain', reason } : { end: 'again', reason };
  return new Promise((resolve) => {
    let connected = false;
    const finish = (outcome: Outcome) => {
      clearTimeout(timer);
      body.fill(0);
      resolve(outcome);
    };
    const call = (url.protocol === 'https:' ? secure : plain)(url, {
      ...{ method: 'POST', headers: { ...headers, 'content-length': body.length }, agent: false },
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
    });
    const timer = setTimeout(() => call.destroy(new Error('timeout')), (settings.timeoutSeconds ?? 15) * 1000);
    call.on('socket', (socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        connected = true;
      });
    });
    call.on('response', (response) => {
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MOST_ANSWER) response.destroy();
      });
      response.on('error', () => {});
      response.on('close', () => finish(judge(response.statusCode ?? 0, response.headers['retry-after'])));
    });
    call.on('error', () => finish(connected ? doubt('no-answer') : { end: 'again', reason: 'unreachable' }));
    call.end(body);
  });
}

/** RFC 9110 section 15, as gateways use it. */
function judge(status: number, retryAfter: string | undefined): Outcome {
  if (status >= 200 && status < 300) return { end: 'sent' };
  const reason = `gateway-${status}`;
  if (status === 408 || status === 409 || status === 425 || status === 429 || status >= 500) {
    const after = Number(retryAfter);
    return {
      end: 'again',
      reason,
      ...(Number.isFinite(after) && after > 0 ? { afterSeconds: Math.min(after, 3600) } : {}),
    };
  }
  return { end: 'failed', reason };
}
