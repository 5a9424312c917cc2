import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bodies, type Body } from './bodies.ts';

const LIMITS = { small: 1_000, large: 2, bytes: 10_000, patienceMs: 200, slowest: 10_000 };

/** A server that takes bodies of up to 5000 bytes and answers what became of each; `hold` keeps those that came whole. */
async function served(t: TestContext, mayBeLarge = true) {
  const bodies = new Bodies(LIMITS);
  const kept: Body[] = [];
  const server: Server = createServer(async (request, response) => {
    const body = await bodies.read(request, 5_000, () => mayBeLarge);
    const text = typeof body === 'string' ? body : `${body.bytes.length}`;
    if (typeof body !== 'string') {
      if (request.url === '/hold') kept.push(body);
      else body.done();
    } else response.setHeader('Connection', 'close');
    response.end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  /** Sends a head and some bytes; what came back until the server hung up or answered. */
  const send = (length: string, body: Buffer, path = '/') =>
    new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(`PUT ${path} HTTP/1.1\r\nHost: x\r\n${length}\r\n\r\n`);
        socket.write(body);
      });
      socket.on('data', (part) => {
        resolve(
          part
            .toString()
            .split('\r\n\r\n')
            .at(-1)!
            .replace(/^[0-9a-f]+\r\n|\r\n0$/g, ''),
        );
        socket.destroy();
      });
      socket.on('error', () => resolve('closed'));
      socket.on('close', () => resolve('closed'));
    });
  const all = (n: number, path?: string) => send(`Content-Length: ${n}`, Buffer.alloc(n), path);
  return { bodies, kept, send, all };
}

test('bodies of both kinds are read, and their room is given back', async (t) => {
  const { bodies, all } = await served(t);
  assert.deepEqual(await Promise.all([all(0), all(1_000), all(5_000)]), ['0', '1000', '5000']);
  assert.deepEqual(bodies.held, { bytes: 0, large: 0 });
});

test('what is too large is refused by its head alone, and a hidden length as soon as it shows', async (t) => {
  const { send, bodies } = await served(t);
  assert.equal(await send('Content-Length: 5001', Buffer.alloc(0)), 'too-large');
  const chunk = Buffer.concat([Buffer.from('1800\r\n'), Buffer.alloc(0x1800), Buffer.from('\r\n')]);
  assert.equal(await send('Transfer-Encoding: chunked', chunk), 'too-large');
  assert.deepEqual(bodies.held, { bytes: 0, large: 0 });
});

test('who shows nothing sends nothing large, announced or not', async (t) => {
  const { send, all } = await served(t, false);
  assert.equal(await all(1_000), '1000');
  assert.equal(await send('Content-Length: 1001', Buffer.alloc(0)), 'too-large');
  const chunk = Buffer.concat([Buffer.from('5dc\r\n'), Buffer.alloc(0x5dc), Buffer.from('\r\n')]);
  assert.equal(await send('Transfer-Encoding: chunked', chunk), 'too-large');
});

test('large bodies have places, all bytes together have room, and small ones pass meanwhile', async (t) => {
  const { send, all, bodies, kept } = await served(t);
  const stalled = [1, 2].map(() => send('Content-Length: 4000', Buffer.alloc(10)));
  await sleep(50);
  assert.equal(bodies.held.large, 2);
  assert.equal(await send('Content-Length: 4000', Buffer.alloc(0)), 'too-busy');
  assert.equal(await all(1_000), '1000');
  assert.deepEqual(await Promise.all(stalled), ['too-slow', 'too-slow']);
  assert.deepEqual(bodies.held, { bytes: 0, large: 0 });
  for (let n = 0; n < 10; n += 1) assert.equal(await all(1_000, '/hold'), '1000');
  assert.equal(await all(1), 'too-busy');
  for (const body of kept) body.done();
  kept[0]!.done();
  assert.deepEqual(bodies.held, { bytes: 0, large: 0 });
  assert.equal(await all(1), '1');
});

test('what comes too slowly, or breaks off, gives its room back', async (t) => {
  const { send, bodies } = await served(t);
  assert.equal(await send('Content-Length: 900', Buffer.alloc(1)), 'too-slow');
  const gone = send('Content-Length: 4000', Buffer.alloc(2_000));
  await sleep(30);
  assert.equal(bodies.held.large, 1);
  assert.equal(await gone, 'too-slow');
  assert.deepEqual(bodies.held, { bytes: 0, large: 0 });
});
