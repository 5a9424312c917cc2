import { connect, type Socket } from 'node:net';

/** One request, ready to be written, and what must come back. */
export interface Step {
  readonly request: Buffer;
  /** Whether the answer must carry a command (bytes) or nothing. */
  readonly expects: 'command' | 'nothing' | 'either';
}

export interface Load {
  readonly port: number;
  readonly connections: number;
  /** The steps of the n-th conversation, or undefined when there are no more. One conversation stays on one connection. */
  readonly conversation: (n: number) => readonly Step[] | undefined;
  /** Ends after this long even if there are more conversations. */
  readonly forMs?: number;
}

export interface LoadResult {
  readonly conversations: number;
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Answers that were not what the step expects, and connections that broke. */
  readonly wrong: number;
  readonly firstWrong: string | undefined;
}

/**
 * A closed loop over keep-alive connections: each has one request under way. Raw sockets and ready-made bytes, so that the
 * driver costs the machine little. Latency is of one request, in milliseconds.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const latencies: number[] = [];
  let next = 0;
  let conversations = 0;
  let wrong = 0;
  let firstWrong: string | undefined;
  const startedAt = performance.now();
  const endsAt = startedAt + (load.forMs ?? 600_000);
  await Promise.all(
    Array.from({ length: load.connections }, async () => {
      let line = new Line(load.port);
      try {
        while (performance.now() < endsAt) {
          const steps = load.conversation(next++);
          if (steps === undefined) return;
          for (const { request, expects } of steps) {
            const at = performance.now();
            try {
              const answer = await line.ask(request);
              latencies.push(performance.now() - at);
              if (answer.status === 200 && (expects === 'either' || answer.bytes > 0 === (expects === 'command')))
                continue;
              firstWrong ??= `status ${answer.status}, ${answer.bytes} bytes, expected ${expects}`;
            } catch (error) {
              firstWrong ??= String(error);
              line.close();
              line = new Line(load.port);
            }
            wrong += 1;
            break;
          }
          conversations += 1;
        }
      } finally {
        line.close();
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) =>
    round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0);
  return {
    ...{ conversations, requests: latencies.length, seconds: round(seconds), wrong, firstWrong },
    perSecond: Math.round(conversations / seconds),
    ...{ p50Ms: quantile(0.5), p95Ms: quantile(0.95), p99Ms: quantile(0.99) },
  };
}

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

interface Answer {
  readonly status: number;
  readonly bytes: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** One keep-alive connection that reads as much of HTTP/1.1 as both servers speak: Content-Length or chunks. */
export class Line {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #asked: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (part) => {
      this.#received = this.#received.length === 0 ? part : Buffer.concat([this.#received, part]);
      this.#parse();
    });
    for (const event of ['error', 'close'] as const)
      this.#socket.on(event, () => {
        this.#asked?.reject(new Error('the connection ended'));
        this.#asked = undefined;
      });
  }

  ask(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #parse(): void {
    const end = this.#received.indexOf(HEAD_END);
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    let total = end + 4;
    let bytes = 0;
    if (length !== undefined) {
      bytes = Number(length);
      total += bytes;
    } else if (/\r\ntransfer-encoding: chunked/i.test(head)) {
      const last = this.#received.indexOf('\r\n0\r\n\r\n', end + 2);
      if (last < 0) return;
      total = last + 7;
      bytes = total - end - 4;
    }
    if (this.#received.length < total) return;
    this.#received = this.#received.subarray(total);
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.resolve({ status: Number(head.slice(9, 12)), bytes });
  }
}
