import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface Answer {
  readonly status: number;
  /** Content-Type as sent, or the empty string. */
  readonly type: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Sends one request. Rejects if there is no answer. */
export type Send = (
  method: 'GET' | 'PUT' | 'POST',
  url: string,
  message?: { readonly body?: Uint8Array; readonly headers?: Readonly<Record<string, string>> },
) => Promise<Answer>;

export interface Line {
  readonly send: Send;
  close(): void;
}

/** A keep-alive connection pool that many phones share. `sockets`: at most so many at once; `timeoutMs` for an answer. */
export function openLine(options: { sockets?: number; timeoutMs?: number } = {}): Line {
  const settings = { keepAlive: true, maxSockets: options.sockets ?? 16 };
  const plain = new HttpAgent(settings);
  const secure = new HttpsAgent(settings);
  const timeout = options.timeoutMs ?? 30_000;
  const send: Send = (method, url, message = {}) =>
    new Promise((resolve, reject) => {
      const secured = url.startsWith('https:');
      const headers = { ...message.headers, 'content-length': String(message.body?.length ?? 0) };
      const open = secured ? httpsRequest : httpRequest;
      const request = open(
        url,
        {
          method,
          agent: secured ? secure : plain,
          timeout,
          headers: method === 'GET' ? (message.headers ?? {}) : headers,
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              type: response.headers['content-type'] ?? '',
              headers: response.headers,
              body: Buffer.concat(parts),
            }),
          );
        },
      );
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error('the server did not answer in time')));
      request.end(message.body);
    });
  return {
    send,
    close: () => {
      plain.destroy();
      secure.destroy();
    },
  };
}
