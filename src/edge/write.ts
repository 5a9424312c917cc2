import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Logger } from '#base';
import type { Answer, AnswerStream } from './answer.ts';

/** How long a device may take over one part before its place goes to another, milliseconds. */
const PART_MS = 60_000;

/** Writes an answer; `close` ends the connection after it. A stream is poured as fast as the device takes it. */
export async function write(response: ServerResponse, answer: Answer, close: boolean, log: Logger): Promise<void> {
  response.statusCode = answer.status;
  if (answer.type !== undefined) response.setHeader('Content-Type', answer.type);
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (answer.stream !== undefined) {
    response.setHeader('Content-Length', String(answer.stream.length));
    await pour(response, answer.stream, log);
    return;
  }
  if (close) response.setHeader('Connection', 'close');
  // end() without writeHead() lets Node set Content-Length, 0 included; chunked would break clients that test for it.
  response.end(answer.body);
  if (close) response.on('finish', () => response.socket?.destroySoon());
}

/**
 * Whatever ends a stream early, a device that left, one that takes nothing or bytes that must not go, cuts the connection: a
 * length was promised, so nobody takes the rest for the whole.
 */
async function pour(response: ServerResponse, stream: AnswerStream, log: Logger): Promise<void> {
  const left = new AbortController();
  response.once('close', () => left.abort());
  try {
    for await (const part of stream.parts()) {
      if (response.destroyed) return;
      const signal = AbortSignal.any([left.signal, AbortSignal.timeout(PART_MS)]);
      if (!response.write(part)) await once(response, 'drain', { signal });
    }
    response.end();
  } catch (error) {
    if (!left.signal.aborted)
      log.warn('a download was cut off', { why: error instanceof Error ? error.message : 'unknown' });
    response.destroy();
  }
}
