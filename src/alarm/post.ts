import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import type { Outgoing } from './request.ts';

const PATIENCE_MS = 10_000;
const MOST_ANSWER = 64 * 1024;

/** How a try ended. A code says why, never what was answered. */
export interface Outcome {
  readonly sent: boolean;
  readonly code: string;
  /** The receiver wants no more of this. */
  readonly final?: true;
}

/** Sends one request. Redirects are refusals: a receiver does not choose whom else we ask. Never throws. */
export function sendRequest(
  { url, method, headers, body }: Omit<Outgoing, 'method'> & { readonly method: Outgoing['method'] | 'GET' },
  ca: string | undefined,
): Promise<Outcome> {
  const to = new URL(url);
  return new Promise((resolve) => {
    const call = (to.protocol === 'https:' ? secure : plain)(to, {
      ...{ method, headers: { ...headers, 'content-length': Buffer.byteLength(body) }, agent: false },
      ...(ca === undefined ? {} : { ca }),
    });
    const timer = setTimeout(() => call.destroy(Object.assign(new Error(), { code: 'too-slow' })), PATIENCE_MS);
    const end = (outcome: Outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    const failed = (error: { code?: unknown }) => {
      const code =
        typeof error.code === 'string' ? error.code.toLowerCase().replace(/[^a-z0-9]+/g, '-') : 'unreachable';
      end({ sent: false, code: code.slice(0, 40) });
    };
    call.on('error', failed);
    call.on('response', (response) => {
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MOST_ANSWER) call.destroy(Object.assign(new Error(), { code: 'long-answer' }));
      });
      response.on('error', failed);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const sent = status >= 200 && status < 300;
        end({ sent, code: `status-${status}`, ...(status === 410 ? { final: true } : {}) });
      });
    });
    call.end(body);
  });
}
