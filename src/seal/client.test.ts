import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Sealed } from '#base';
import {
  encodeFrame,
  FrameReader,
  guardClient,
  padValue,
  sealField,
  unpadValue,
  valueBytes,
  x25519Raw,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'btz-c'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('frames survive any cutting of the stream', () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string(), fc.string()), { maxLength: 8 }),
      fc.array(fc.nat(40)),
      (messages, cuts) => {
        const plain = messages.map((one) => JSON.parse(JSON.stringify(one)) as Record<string, unknown>);
        let rest = Buffer.concat(plain.map((one) => encodeFrame(one)));
        const reader = new FrameReader();
        const read: object[] = [];
        for (const cut of cuts) {
          read.push(...reader.push(rest.subarray(0, cut)));
          rest = rest.subarray(cut);
        }
        read.push(...reader.push(rest));
        assert.deepEqual(JSON.stringify(read), JSON.stringify(plain));
      },
    ),
  );
});

test('values are padded to one size and come back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
      for (const field of ['name', 'unlock-token'] as const) {
        if (Buffer.byteLength(text) > valueBytes(field)) continue;
        assert.equal(padValue(text, field).length, field === 'name' ? 128 : 6144);
        assert.equal(unpadValue(padValue(text, field), field), text);
      }
    }),
  );
  assert.throws(() => padValue('é'.repeat(64), 'name'), { code: 'value-too-long' });
  assert.throws(() => padValue('x'.repeat(6143), 'unlock-token'), { code: 'value-too-long' });
  assert.throws(() => unpadValue(padValue('x', 'name'), 'unlock-token'), { code: 'open-failed' });
  const bent = padValue('x', 'name');
  bent[100] = 1;
  assert.throws(() => unpadValue(bent, 'name'), { code: 'open-failed' });
});

test('sealing needs public keys only and gives 224 bytes', () => {
  const key = () => x25519Raw(generateKeyPairSync('x25519').privateKey).toString('base64url');
  const keys = { org: 'o', inner: key(), outer: key() };
  const sealed = sealField({ keys, subject: 'amber-otter-1234', field: 'name', version: 1, value: new Sealed('Ada') });
  assert.equal(sealed.length, 224);
});

test('a client tells apart unreachable, dropped and slow guards, and connects again', async () => {
  const path = join(folder, 'sock');
  const client = guardClient(path, { name: 'ledger', timeoutMs: 50 });
  await assert.rejects(client.call('status', {}), { code: 'unreachable' });
  let mode = 'drop';
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    const reader = new FrameReader();
    socket.on('data', (chunk: Buffer) => {
      for (const { id } of reader.push(chunk)) {
        if (mode === 'drop') socket.destroy();
        if (mode === 'garbage') socket.write(Buffer.from([255, 255, 255, 255]));
        if (mode === 'answer') socket.write(encodeFrame({ id, ok: { fine: true } }));
        if (mode === 'refuse') socket.write(encodeFrame({ id, error: { code: 'cap', message: 'no' } }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await assert.rejects(client.call('status', {}), { code: 'dropped' });
  mode = 'garbage';
  await assert.rejects(client.call('status', {}), { code: 'dropped' });
  mode = 'silent';
  await assert.rejects(client.call('status', {}), { code: 'timeout' });
  mode = 'refuse';
  await assert.rejects(client.call('status', {}), { code: 'cap', status: 403 });
  mode = 'answer';
  assert.deepEqual(await client.call('status', {}), { fine: true });
  client.close();
  await assert.rejects(client.call('status', {}), { code: 'unreachable' });
  for (const socket of sockets) socket.destroy();
  server.close();
});
