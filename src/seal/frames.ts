import { SealError } from './errors.ts';

/** Longest frame on a guard socket, bytes of JSON. */
export const FRAME_BYTES = 1024 * 1024;

/** One frame: 4-byte big-endian length, then UTF-8 JSON. Throws SealError `frame` above 1 MiB. */
export function encodeFrame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  if (body.length > FRAME_BYTES)
    throw new SealError('frame', 'A message to a guard is too long. Ask for less at once.');
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/**
 * Cuts a byte stream into frames. `push` returns the messages that are complete; it throws SealError `frame` for a
 * frame that is empty, too long, not UTF-8 or not a JSON object: the peer must then be dropped.
 */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): Record<string, unknown>[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const messages: Record<string, unknown>[] = [];
    while (this.#length >= 4) {
      if (this.#chunks[0]!.length < 4) this.#chunks = [Buffer.concat(this.#chunks)];
      const size = this.#chunks[0]!.readUInt32BE(0);
      if (size === 0 || size > FRAME_BYTES) throw new SealError('frame', 'A frame is empty or too long.');
      if (this.#length < 4 + size) break;
      const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      messages.push(parseMessage(all.subarray(4, 4 + size)));
      const rest = all.subarray(4 + size);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#length = rest.length;
    }
    return messages;
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function parseMessage(bytes: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(UTF8.decode(bytes));
  } catch {
    throw new SealError('frame', 'A frame does not hold JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SealError('frame', 'A frame does not hold an object.');
  }
  return value as Record<string, unknown>;
}
