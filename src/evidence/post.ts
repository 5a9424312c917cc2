import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { EvidenceError } from './error.ts';
import type { Outsider } from './settings.ts';

const MOST_ANSWER = 64 * 1024;
const PATIENCE_MS = 15_000;

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/** Posts to somebody outside; redirects are answers like others. Throws EvidenceError `unreachable` or `answer`. */
export function post(to: Outsider, path: string, type: string, body: Uint8Array): Promise<Reply> {
  const base = new URL(to.url);
  const url = path === '' ? base : new URL(path, base.href.endsWith('/') ? base : `${base.href}/`);
  return new Promise((resolve, reject) => {
    const call = (url.protocol === 'https:' ? secure : plain)(url, {
      ...{ method: 'POST', headers: { 'content-type': type, 'content-length': body.byteLength }, agent: false },
      ...(to.ca === undefined ? {} : { ca: to.ca }),
    });
    const timer = setTimeout(() => call.destroy(new Error('too slow')), PATIENCE_MS);
    const failed = (cause: unknown) => {
      clearTimeout(timer);
      reject(new EvidenceError('unreachable', `${to.name} cannot be reached.`, { cause }));
    };
    call.on('error', failed);
    call.on('response', (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        parts.push(part);
        if (size > MOST_ANSWER) call.destroy(new Error('too long'));
      });
      response.on('error', failed);
      response.on('end', () => {
        clearTimeout(timer);
        const { statusCode: status = 0, headers } = response;
        resolve({ status, type: headers['content-type'] ?? '', body: Buffer.concat(parts) });
      });
    });
    call.end(body);
  });
}
