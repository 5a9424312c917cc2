import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePorts } from '../flows/product.ts';

/** One post that the gateway took. */
export interface Posted {
  readonly key: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
}

/** An SMS gateway as providers run them: JSON, a bearer token, an idempotency key that it honours. */
export class SmsPeer {
  /** Every request. */
  readonly posts: Posted[] = [];
  /** What people received: one for each key. */
  readonly delivered = new Map<string, Record<string, unknown>>();
  /** Answers for the next requests, then 202. `hang`: takes the message and never answers. */
  plan: (number | 'hang' | 'drop')[] = [];
  /** Called with every request that is taken, before the answer. */
  onTaken: () => void = () => {};
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      request.on('end', () => {
        const key = request.headers['idempotency-key'] as string | undefined;
        const body = JSON.parse(text) as Record<string, unknown>;
        this.posts.push({ key, authorization: request.headers.authorization, body });
        const next = this.plan.shift() ?? 202;
        if (next === 'drop') {
          request.socket.destroy();
          return;
        }
        if (typeof next === 'number' && next >= 400) {
          // As gateways do: the error repeats what it was asked.
          response.writeHead(next, { 'content-type': 'application/json' });
          response.end(JSON.stringify({ error: `cannot send to ${String(body['to'])}`, message: body['text'] }));
          return;
        }
        if (key === undefined || !this.delivered.has(key)) this.delivered.set(key ?? `none-${this.posts.length}`, body);
        this.onTaken();
        if (next === 'hang') return;
        response.writeHead(next, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: `gw-${this.posts.length}`, to: body['to'], status: 'queued' }));
      });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/messages`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** A mail that the server took. */
export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly tls: boolean;
  readonly user: string | null;
  readonly data: string;
}

/** A foreign mail server (aiosmtpd): STARTTLS or TLS from the first byte, AUTH required. */
export async function startMail(options: {
  readonly tls: 'starttls' | 'implicit';
  readonly cert: string;
  readonly key: string;
  readonly user: string;
  readonly password: string;
}): Promise<{ port: number; mails: Mail[]; close(): Promise<void> }> {
  const port = await freePorts();
  const { tls, cert, key, user, password } = options;
  const child = spawn(
    '/usr/bin/python3',
    [join(import.meta.dirname, 'mail-server.py'), String(port), tls, cert, key, user],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: '/usr/bin:/bin' },
    },
  );
  child.stdin.end(`${password}\n`);
  const mails: Mail[] = [];
  const lines = createInterface(child.stdout);
  await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error('the mail server did not start'))),
  ]);
  lines.on('line', (line) => mails.push(JSON.parse(line) as Mail));
  return {
    port,
    mails,
    close: async () => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
