import assert from 'node:assert/strict';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, openLine, type Phone } from '#sim';
import { openPool, type Pool } from '#store';
import { type PlistInput, parseCertificate, parsePlist, parseSigned, RESULT_BYTES, signCms, writePlist } from '#wire';
import { residentMib, withChildren } from '../../bench/measure.ts';
import { scepEnrol } from '../../sim/scep.ts';
import { until } from '../../src/run/stage.ts';
import { type Living, living } from './product.ts';

const MDM = 'application/x-apple-aspen-mdm';
const CHECK_IN = 'application/x-apple-aspen-mdm-checkin';
const line = openLine({ sockets: 4, timeoutMs: 40_000 });

interface Identity {
  readonly key: KeyObject;
  readonly certificate: Buffer;
}

function identityOf(phone: Phone): Identity {
  const { key, certificate } = phone.state.identity!;
  const der = { key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' } as const;
  return { key: createPrivateKey(der), certificate: Buffer.from(certificate, 'base64') };
}

const signature = (body: Buffer, { key, certificate }: Identity) =>
  signCms({ content: body, certificate: parseCertificate(certificate), key, detached: true }).toString('base64');

/** One signed message; an answer of status 0 is a connection that the server closed. */
async function say(url: string, message: PlistInput | Buffer, who: Identity, type = MDM): Promise<Answer> {
  const body = Buffer.isBuffer(message) ? message : writePlist(message as PlistInput);
  const headers = { 'content-type': type, 'mdm-signature': signature(body, who) };
  return line
    .send('PUT', url, { body, headers })
    .catch(() => ({ status: 0, type: '', headers: {}, body: Buffer.alloc(0) }));
}

/** Bytes to the device plane; everything that came back until it hung up or `ms` passed. */
function raw(origin: string, bytes: string, ms = 3_000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1', () => socket.write(bytes, 'latin1'));
    let text = '';
    const end = setTimeout(() => socket.destroy(), ms);
    socket.on('data', (part) => {
      text += part.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(end);
      resolve(text);
    });
  });
}

/** How often requests were refused, by reason, as the log has it. */
async function counted(pool: Pool): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ unmapped: Record<string, unknown> }>(
    `select body->'unmapped' as unmapped from log.event where kind = 'edge.refused'`,
  );
  const sums: Record<string, number> = {};
  for (const { unmapped } of rows) {
    const { reason, count } = unmapped as { reason?: string; count?: number };
    const each = reason === undefined ? (unmapped as Record<string, number>) : { [reason]: count ?? 1 };
    for (const [name, n] of Object.entries(each)) if (typeof n === 'number') sums[name] = (sums[name] ?? 0) + n;
  }
  return sums;
}

/** Runs the attack; the log must then count at least so many more refusals for this reason. */
async function countsMore(pool: Pool, reason: string, least: number, attack: () => Promise<void>): Promise<void> {
  const before = (await counted(pool))[reason] ?? 0;
  await attack();
  const more = async () => ((await counted(pool))[reason] ?? 0) - before >= least;
  assert.ok(await until(more, 8_000), `${reason}: ${JSON.stringify(await counted(pool))}, before ${before}`);
}

const refusedBy = (answer: Answer, what: string) => {
  assert.ok(answer.status === 0 || (answer.status >= 400 && answer.status < 500), `${what}: status ${answer.status}`);
  assert.notEqual(answer.status, 401, `${what}: 401 makes a phone leave`);
};

test('attacks on the device plane are refused, counted and bounded', async (t) => {
  const stage = await living(t, { people: 6, phones: 5, admins: 2, founders: 3, pollMs: 60_000 });
  const { product } = stage;
  const pool = openPool(product.admin, { max: 2 });
  t.after(async () => {
    await pool.end();
    line.close();
  });
  const pids = product.pids();
  const [a, b, c, d] = stage.stage.fleet.phones as [Phone, Phone, Phone, Phone];
  const { serverUrl: mdm, checkInUrl } = a.state.enrolment!;
  const idle = (phone: Phone) => ({ UDID: phone.state.udid, Status: 'Idle' });
  const stateOf = async (phone: Phone) =>
    (
      await pool.query<{ row: string }>(
        `select row_to_json(d)::jsonb - 'last_seen_at' as row from fleet.device d where udid = $1`,
        [phone.state.udid],
      )
    ).rows;

  await t.test('a depth bomb in the signature and in a SCEP message', async () => {
    const bomb = Buffer.alloc(8_000, Buffer.of(0x30, 0x80));
    const startedAt = performance.now();
    await countsMore(pool, 'message', 2, async () => {
      const headers = { 'content-type': MDM, 'mdm-signature': bomb.toString('base64') };
      refusedBy(await line.send('PUT', mdm, { body: writePlist(idle(a)), headers }), 'signature');
      refusedBy(await line.send('POST', mdm.replace('/mdm', '/scep?operation=PKIOperation'), { body: bomb }), 'SCEP');
    });
    assert.ok(performance.now() - startedAt < 10_000);
  });

  await t.test('property lists that are too large, too deep, or grow when read', async () => {
    const big = Buffer.concat([writePlist(idle(a)), Buffer.alloc(RESULT_BYTES, ' ')]);
    await countsMore(pool, 'too-large', 1, async () => refusedBy(await say(mdm, big, identityOf(a)), 'oversized'));
    const entities = `<!DOCTYPE plist [<!ENTITY a "${'x'.repeat(1_000)}"><!ENTITY b "${'&a;'.repeat(1_000)}">]>`;
    await countsMore(pool, 'message', 3, async () => {
      for (const text of [
        `<plist>${'<array>'.repeat(100_000)}`,
        `<plist><array>${'<true/>'.repeat(140_000)}</array></plist>`,
        `${entities}<plist><string>&b;</string></plist>`,
      ])
        refusedBy(await say(mdm, Buffer.from(text), identityOf(a)), text.slice(0, 30));
    });
  });

  await t.test('a forged signature', async () => {
    const body = writePlist(idle(a));
    const headers = { 'content-type': MDM, 'mdm-signature': signature(Buffer.from('something else'), identityOf(a)) };
    await countsMore(pool, 'signature', 1, async () =>
      refusedBy(await line.send('PUT', mdm, { body, headers }), 'forged'),
    );
  });

  await t.test("one phone's certificate under another's identifier, and under a new one", async () => {
    const before = [await stateOf(a), await stateOf(b)];
    await countsMore(pool, 'certificate', 3, async () => {
      refusedBy(await say(mdm, idle(b), identityOf(a)), 'Idle');
      const hello = { MessageType: 'Authenticate', Topic: 'x', UDID: b.state.udid };
      refusedBy(await say(checkInUrl, hello, identityOf(a), CHECK_IN), 'Authenticate as another');
      const leave = { MessageType: 'CheckOut', Topic: 'x', UDID: b.state.udid };
      refusedBy(await say(checkInUrl, leave, identityOf(a), CHECK_IN), 'CheckOut for another');
    });
    const fresh = '00008120-00000000000000FF';
    await say(checkInUrl, { MessageType: 'Authenticate', Topic: 'x', UDID: fresh }, identityOf(a), CHECK_IN);
    assert.equal((await pool.query('select from fleet.device where udid = $1', [fresh])).rowCount, 0);
    assert.deepEqual([await stateOf(a), await stateOf(b)], before, 'nobody changed');
    assert.equal(await b.poll(), 0);
  });

  await t.test('an old result, sent again', async () => {
    const { rows } = await pool.query<{ handle: string }>('select handle from fleet.device where udid = $1', [
      c.state.udid,
    ]);
    const asked = await stage.stage.admins[0]!.call('POST', '/api/intents', {
      ...{ verb: 'SecurityInfo', devices: [rows[0]!.handle], params: {}, purpose: 'a look at it' },
    });
    assert.equal(asked.status, 200);
    const sent: { body: Buffer; headers: Record<string, string> }[] = [];
    const options = c.options as { send: Phone['options']['send'] };
    const { send } = options;
    options.send = (method, url, message) => {
      const body = Buffer.from(message?.body ?? '');
      if (body.includes('Acknowledged')) sent.push({ body, headers: { ...message!.headers } });
      return send(method, url, message);
    };
    assert.ok(await until(async () => (await c.poll()) > 0, 10_000, 100));
    options.send = send;
    assert.equal(sent.length, 1);
    const seen = async () =>
      (
        await pool.query(
          `select (select count(*) from log.event where kind like 'command.%result') as events,
             (select json_agg(k order by uuid) from (select uuid, state, done_at, errors from fleet.command) k) as commands`,
        )
      ).rows;
    const before = await seen();
    for (let n = 0; n < 3; n += 1) await line.send('PUT', mdm, sent[0]!);
    assert.deepEqual(await seen(), before, 'done once, logged once');
    // under another phone's name it is nobody's
    await countsMore(pool, 'certificate', 1, async () => {
      const other = Buffer.from(sent[0]!.body.toString().replace(c.state.udid, d.state.udid));
      refusedBy(await say(mdm, other, identityOf(c)), 'replayed as another');
    });
  });

  await t.test('a SCEP challenge: guessed, used twice, and after another opened the link again', async () => {
    const offered = await stage.stage.admins[0]!.call('POST', '/api/enrolments', { holders: [null] });
    const link = (offered.body['items'] as { link: string }[])[0]!.link;
    const profile = async () => {
      const { body } = await line.send('GET', link);
      const text = JSON.stringify([...(parsePlist(parseSigned(body).content!) as Map<string, unknown>)], (_, v) =>
        v instanceof Map ? Object.fromEntries(v) : v,
      );
      return { url: /"URL":"([^"]+)"/.exec(text)![1]!, challenge: /"Challenge":"([^"]+)"/.exec(text)![1]! };
    };
    const enrol = (challenge: string, url: string) =>
      scepEnrol(line.send, { url, challenge, subject: [[['CN', 'x']]], key: identityOf(d).key });
    const first = await profile();
    const second = await profile();
    await countsMore(pool, 'challenge', 3, async () => {
      for (const guess of [first.challenge, 'A'.repeat(43), ''])
        await assert.rejects(enrol(guess, second.url), /the server refused/);
    });
    assert.ok((await enrol(second.challenge, second.url)).length > 300);
    await countsMore(pool, 'challenge', 1, () =>
      assert.rejects(enrol(second.challenge, second.url), /the server refused/),
    );
  });

  await t.test("a certificate after its phone has left, by itself and in another's hands", async () => {
    const old = identityOf(d);
    const { udid } = d.state;
    await d.removeManagement();
    await countsMore(pool, 'certificate', 3, async () => {
      refusedBy(await say(mdm, { UDID: udid, Status: 'Idle' }, old), 'Idle after CheckOut');
      refusedBy(await say(mdm, idle(b), old), "another's Idle");
      const update = { MessageType: 'TokenUpdate', Topic: 'x', UDID: udid, Token: Buffer.alloc(32), PushMagic: 'x' };
      refusedBy(await say(checkInUrl, update, old, CHECK_IN), 'TokenUpdate');
    });
  });

  await t.test('two readings of one request', async () => {
    const hidden = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
    const put = (...headers: string[]) => `PUT /mdm HTTP/1.1\r\nHost: x\r\n${headers.join('\r\n')}\r\n\r\n`;
    const shapes = [
      `${put('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n${hidden}`,
      `${put('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${put('Content-Length: 0', `Content-Length: ${hidden.length}`)}${hidden}`,
      `${put('Transfer-Encoding: xchunked')}0\r\n\r\n${hidden}`,
      `${put('Transfer-Encoding: chunked, identity')}0\r\n\r\n${hidden}`,
      `${put('Transfer-Encoding : chunked')}0\r\n\r\n${hidden}`,
      `${put('Transfer-Encoding:\x0bchunked')}0\r\n\r\n${hidden}`,
      `${put('Content-Length: +5')}AAAAA${hidden}`,
      `${put('Content-Length: 0x5')}AAAAA${hidden}`,
      `${put('Content-Length: 5, 5')}AAAAA${hidden}`,
      `${put('X: y\nContent-Length: 5')}AAAAA${hidden}`,
      `${put('Transfer-Encoding: chunked')}5;a=b\nAAAAA\r\n0\r\n\r\n${hidden}`,
      `${put('Transfer-Encoding: chunked')}-5\r\nAAAAA\r\n0\r\n\r\n${hidden}`,
      `${put('Transfer-Encoding: chunked')}FFFFFFFFFFFFFFFF1\r\nAAAAA\r\n0\r\n\r\n${hidden}`,
      `PUT /mdm HTTP/1.1\r\n Content-Length: 5\r\nHost: x\r\n\r\n${hidden}`,
      `PUT http://evil.example/mdm HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    ];
    let answered = 0;
    for (const shape of shapes) {
      const answer = await raw(mdm, shape, 1_500);
      assert.doesNotMatch(answer, /^HTTP\/1\.1 200/m, `${JSON.stringify(shape.slice(0, 90))}: ${answer.slice(0, 200)}`);
      assert.match(answer, /^HTTP\/1\.1 4\d\d|^$/, JSON.stringify(shape.slice(0, 90)));
      if (answer !== '') answered += 1;
    }
    assert.ok(answered >= shapes.length / 2, `${answered} of ${shapes.length} were answered`);
  });

  await slowConnections(t, stage, pool, a);
  assert.deepEqual(product.pids(), pids, 'no process fell');
  for (const phone of [a, b, c]) assert.equal(await phone.poll(), 0, 'an honest phone is served');
});

/** 4 100 connections that never finish a request; bounded in number, time and memory. */
async function slowConnections(t: TestContext, { product }: Living, pool: Pool, phone: Phone): Promise<void> {
  await t.test('4 100 slow connections', async () => {
    const { port } = new URL(phone.state.enrolment!.serverUrl);
    const edge = () => residentMib(withChildren(product.pids()['edge']!));
    const before = edge();
    const sockets: Socket[] = [];
    let closed = 0;
    for (let n = 0; n < 4_100; n += 1) {
      const socket = connect({ port: Number(port), host: '127.0.0.1' });
      socket.on('connect', () => socket.write('PUT /mdm HTTP/1.1\r\nHost: x\r\nX-Slow: '));
      socket.on('error', () => {});
      socket.on('close', () => {
        closed += 1;
      });
      sockets.push(socket);
      if (n % 200 === 0) await sleep(20);
    }
    const drip = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x');
    }, 1_000);
    try {
      await sleep(2_000);
      const grown = edge() - before;
      assert.ok(grown < 256, `edge grew by ${grown} MiB`);
      t.diagnostic(`edge grew by ${grown} MiB; ${closed} of 4100 connections were closed at once`);
      const startedAt = performance.now();
      assert.ok(await until(async () => closed === 4_100, 25_000, 250), `${4_100 - closed} connections are still open`);
      t.diagnostic(`the last was closed after ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    } finally {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    }
    assert.equal(await phone.poll(), 0);
    assert.ok(await until(async () => ((await counted(pool))['too-slow'] ?? 0) >= 4_000, 5_000), 'the log counts them');
  });
}
