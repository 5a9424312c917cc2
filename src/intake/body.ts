import type { IncomingMessage } from 'node:http';
import { IntakeError } from './error.ts';

/** Reads a body of at most so many bytes; the parts are zeroed. Throws IntakeError `too-large`, `bad-request`. */
export function readBody(request: IncomingMessage, most: number): Promise<Buffer> {
  const tooLarge = () =>
    new IntakeError('too-large', `A request may have at most ${Math.floor(most / 1024)} KiB.`, { status: 413 });
  if (Number(request.headers['content-length'] ?? 0) > most) return Promise.reject(tooLarge());
  const parts: Buffer[] = [];
  let size = 0;
  const forget = () => {
    for (const one of parts) one.fill(0);
  };
  return new Promise((resolve, reject) => {
    request.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= most) return void parts.push(part);
      request.pause();
      forget();
      reject(tooLarge());
    });
    request.on('end', () => {
      const all = Buffer.concat(parts);
      forget();
      resolve(all);
    });
    request.on('error', () => {
      forget();
      reject(new IntakeError('bad-request', 'The request ended too early.'));
    });
  });
}
