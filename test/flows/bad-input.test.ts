import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { uuidv7 } from '#base';
import { newPasskey } from '#sim';
import { openPool } from '#store';
import { allOf, Person, send } from '../../src/run/person.ts';
import { importPeople, until } from '../../src/run/stage.ts';
import { decoysOf } from './decoys.ts';
import { living } from './product.ts';

const NAME = 'Zephyrine Quackenbush';
const INSIDE = /\bat .+:\d+:\d+|node:internal|\.ts:\d|postgres|SQLSTATE|syntax error at|relation "|ECONN|Error:/i;

interface Raw {
  readonly status: number;
  readonly text: string;
}

/** One HTTP request to an address of ours, as raw as Node lets it be. Status 0: the connection was closed on us. */
function http(
  origin: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Buffer | number,
): Promise<Raw> {
  const { host, port } = new URL(origin);
  return new Promise((resolve) => {
    const length =
      body === undefined ? {} : { 'content-length': String(typeof body === 'number' ? body : body.length) };
    const call = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { host, ...length, ...headers },
      timeout: 40_000,
    });
    const done = (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      const end = () => resolve({ status: response.statusCode ?? 0, text });
      response.on('end', end).on('error', end);
    };
    call.on('response', done);
    call.on('error', () => resolve({ status: 0, text: '' }));
    call.on('timeout', () => call.destroy());
    if (typeof body !== 'number') {
      call.end(body);
      return;
    }
    // Pours as many bytes as were announced, until somebody hangs up.
    const part = Buffer.alloc(64 * 1024, 0x41);
    let left = body;
    const pour = () => {
      while (left > 0 && !call.destroyed) {
        left -= part.length;
        if (!call.write(part)) {
          call.once('drain', pour);
          return;
        }
      }
      call.end();
    };
    pour();
  });
}

/** Raw bytes to a port; what came back before the other side hung up. */
function raw(origin: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setTimeout(15_000, () => socket.destroy());
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

/** BER that opens a sequence of indefinite length again and again. */
const deep = Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.from([0x30, 0x80])));

test('bad input everywhere is refused in plain words, is an event, and loses nothing', async (t) => {
  const { product, stage, home } = await living(t, { people: 12, phones: 4, admins: 2, founders: 3 });
  const { edge, console: site, glass } = product.urls;
  const pids = product.pids();
  const [ada, bo] = stage.admins;
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  const people = async () => (await allOf<{ handle: string }>(ada!, '/api/people')).map((one) => one.handle);
  const before = await people();
  const fair = (answer: Raw, what = '') => {
    assert.ok(
      (answer.status >= 400 && answer.status <= 499) || answer.status === 0,
      `${what}: status ${answer.status}: ${answer.text}`,
    );
    assert.doesNotMatch(answer.text, INSIDE);
    assert.ok(!answer.text.includes('Quackenbush'), 'an answer repeats a name');
  };

  await t.test('edge', async () => {
    const mdm = { 'content-type': 'application/x-apple-aspen-mdm' };
    const cases: [string, string, Record<string, string>?, (Buffer | number)?][] = [
      ...([
        ['GET', '/'],
        ['GET', '/mifs/admin/rest/api/v2'],
        ['GET', '/.env'],
        ['GET', '/%00'],
        ['GET', '/enrol'],
        ['DELETE', '/mdm'],
      ] as [string, string][]),
      ['GET', `/enrol/${'A'.repeat(43)}`],
      ['GET', '/scep?operation=Nothing'],
      ['POST', '/scep?operation=PKIOperation', {}, Buffer.from('garbage')],
      ['POST', '/scep?operation=PKIOperation', {}, deep],
      ['GET', '/scep?operation=PKIOperation&message=%%%'],
      ['PUT', '/mdm', mdm, Buffer.from('<plist/>')],
      ['PUT', '/mdm', { ...mdm, 'mdm-signature': '!!!' }, Buffer.from('<plist/>')],
      ['PUT', '/mdm', { ...mdm, 'mdm-signature': deep.subarray(0, 9_000).toString('base64') }, Buffer.from('<plist/>')],
      ['PUT', '/checkin', { 'mdm-signature': 'MAA=' }, Buffer.from(`<plist><string>${NAME}</string>`)],
      ['PUT', '/mdm', mdm, 100 * 1024 * 1024],
      [
        'PUT',
        '/mdm',
        { ...mdm, 'transfer-encoding': 'chunked', 'content-length': '' },
        Buffer.alloc(3 * 1024 * 1024, 0x20),
      ],
    ];
    for (const [method, path, headers, body] of cases) {
      const clean = Object.fromEntries(Object.entries(headers ?? {}).filter(([, value]) => value !== ''));
      const answer = await http(edge, method, path, clean, body);
      fair(answer);
      assert.notEqual(answer.status, 401, 'a phone that sees 401 unenrols itself');
    }
    assert.match(await raw(edge, 'NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400/);
    assert.match(await raw(edge, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 4\d\d/);
  });

  await t.test('a phone that lies or mumbles is refused, and served again when it speaks well', async () => {
    const phone = stage.fleet.phones[0]!;
    phone.behaviour.wrongSignature = 1;
    await assert.rejects(phone.poll());
    const handle = await pool.query<{ handle: string }>(
      `select handle from fleet.device where state = 'enrolled' order by id limit 4`,
    );
    const devices = handle.rows.map((row) => row.handle);
    const asked = await ada!.call('POST', '/api/intents', {
      verb: 'SecurityInfo',
      devices,
      params: {},
      purpose: 'a look at them',
    });
    assert.equal(asked.status, 200);
    phone.behaviour.garbage = 1;
    await until(
      async () =>
        (await pool.query(`select from fleet.command where intent_id = $1`, [asked.body['id']])).rowCount === 4,
      10_000,
    );
    await phone.poll().catch(() => {});
    await stage.fleet.pollAll();
    await stage.fleet.pollAll();
    const { rows } = await pool.query('select distinct state from fleet.command where intent_id = $1', [
      asked.body['id'],
    ]);
    assert.deepEqual(rows, [{ state: 'acknowledged' }]);
  });

  await t.test('console', async () => {
    const json = { 'content-type': 'application/json', origin: site, 'x-bartizan': '1', cookie: ada!.cookie };
    const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    const intent = { verb: 'DeviceInformation', devices: ['otter'], params: {}, purpose: 'an inventory' };
    const cases: [string, string, Record<string, string>, (Buffer | number)?][] = [
      ['GET', '/api/nothing', json],
      ['GET', '/api/devices?limit=99999999', json],
      ['GET', '/api/devices?x=1', json],
      ['GET', '/api/devices?q=%27%3B%20drop%20table%20x%3B--%00', json],
      ['GET', '/api/devices/..%2f..%2fetc%2fpasswd', json],
      ['GET', '/api/incidents/not-a-uuid', json],
      ['GET', '/..%2f..%2fpackage.json', json],
      ['GET', '/api/people', {}],
      ['GET', '/api/people', { cookie: 'bartizan_session=AAAA' }],
      ['GET', '/api/people', { ...json, host: 'evil.example' }],
      ['POST', '/api/intents', json, text('{')],
      ['POST', '/api/intents', json, text(intent)],
      ['POST', '/api/intents', json, text({ ...intent, extra: NAME })],
      ['POST', '/api/intents', json, text('{"__proto__":{"admin":true}}')],
      ['POST', '/api/intents', json, text({ ...intent, purpose: 'an inven\0tory' })],
      ['POST', '/api/intents', json, text({ ...intent, purpose: 'an inven\ud800tory' })],
      ['POST', '/api/intents', json, text('['.repeat(500_000))],
      ['POST', '/api/intents', json, text(`{"params":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)],
      ['POST', '/api/intents', { ...json, origin: 'https://evil.example' }, text(intent)],
      ['POST', '/api/intents', { ...json, 'x-bartizan': '' }, text(intent)],
      ['POST', '/api/intents', { ...json, 'content-type': 'text/plain' }, text(intent)],
      ['POST', '/api/intents', { ...json, 'sec-fetch-site': 'cross-site' }, text(intent)],
      ['POST', '/api/intents', json, 100 * 1024 * 1024],
      ['TRACE', '/', {}],
      ['PUT', '/', json, text({})],
    ];
    for (const [method, path, headers, body] of cases) {
      const sent = body instanceof Buffer ? body : Buffer.alloc(0);
      const proof = headers['cookie'] === ada!.cookie ? { 'x-bartizan-proof': ada!.proof(method, path, sent) } : {};
      fair(await http(site, method, path, { ...headers, ...proof }, body), `${method} ${path}`);
    }
  });

  await t.test('glass: expired, replayed and foreign grants', async () => {
    const decoys = decoysOf(home);
    const subject = before.find((one) => !decoys.has(one))!;
    const good = await bo!.reveal('number', [subject], 'calling about a lost phone');
    assert.equal(good.answer.status, 200);
    const grant = (over: object = {}) => ({
      ...{ v: 1, op: 'reveal', id: uuidv7(), admin: bo!.admin, field: 'number', subjects: [subject] },
      ...{ purpose: 'calling about a lost phone', notAfter: Date.now() + 60_000, browserKey: 'A'.repeat(43) },
      ...over,
    });
    const post = (body: unknown) => send(glass, 'POST', '/api/reveal', body);
    const refused = async (body: unknown) => {
      const answer = await post(body);
      fair({ status: answer.status, text: JSON.stringify(answer.body) });
      assert.ok(answer.status >= 400);
    };
    const signed = (person: Person, document: object) => ({
      grant: document,
      assertion: person.touch(document as never),
    });
    await refused(signed(bo!, grant({ notAfter: Date.now() - 1 })));
    await refused(signed(bo!, grant({ notAfter: Date.now() + 3_600_000 })));
    await refused(signed(new Person(product.urls, bo!.admin, newPasskey()), grant()));
    await refused(signed(ada!, grant()));
    await refused({ ...signed(bo!, grant()), grant: grant() });
    await refused(signed(bo!, grant({ subjects: [NAME] })));
    await refused(signed(bo!, grant({ extra: 1 })));
    await refused(signed(bo!, grant({ subjects: [] })));
    await refused({});
    await refused([]);
    const elsewhere = new Person({ ...product.urls, glass: 'http://glass.example' }, bo!.admin, bo!.passkey);
    await refused(signed(elsewhere, grant()));
    for (const [method, path, headers, body] of [
      ['POST', '/api/reveal', { 'content-type': 'application/json', origin: site }, Buffer.from('{}')],
      ['POST', '/api/reveal', { 'content-type': 'application/json', origin: glass }, Buffer.from('{')],
      ['POST', '/api/reveal', { 'content-type': 'application/json', origin: glass }, 100 * 1024 * 1024],
      ['GET', '/api/reveal', {}, undefined],
      ['GET', '/api/nothing', {}, undefined],
      ['GET', '/../../etc/passwd', {}, undefined],
      ['GET', '/api/keys', { host: 'evil.example' }, undefined],
    ] as [string, string, Record<string, string>, (Buffer | number)?][])
      fair(await http(glass, method, path, headers, body));
  });

  await t.test('intake: a bad file stores nobody and is named by line', async () => {
    const header = 'given_name,family_name,email,mobile,unit,member_state';
    const row = 'Zephyrine,Quackenbush,z.quackenbush@example.org,+447700900999,Registry,IE';
    for (const csv of [
      '',
      'no,header\r\n',
      `${header}\r\n`,
      `${header}\r\nZephyrine,Quackenbush\r\n`,
      `${header}\r\n=HYPERLINK("http://evil.example"),Quackenbush,z@example.org,+447700900999,Registry,IE\r\n`,
      `${header}\r\n${row}\r\n@SUM(1),Quackenbush,z@example.org,+447700900998,Registry,IE\r\n`,
      `${header}\r\nZephyrine,"Quackenbush,z@example.org,+447700900999,Registry,IE\r\n`,
      `${header}\r\nZephyrine,Quackenbush,nowhere,+447700900999,Registry,IE\r\n`,
      `${header}\r\nZephyrine,Quackenbush,z@example.org,12,Registry,IE\r\n`,
      `${header}\r\nZephyrine,Quackenbush,z@example.org,+447700900999,Registry,ZZ\r\n`,
      `${header}\r\nZephy\0rine,Quackenbush,z@example.org,+447700900999,Registry,IE\r\n`,
      `${header}\r\n${`${row}\r\n`.repeat(80_000)}`,
    ]) {
      await assert.rejects(importPeople(product, csv), (error: Error) => {
        assert.doesNotMatch(error.message, INSIDE);
        assert.ok(
          !error.message.includes('Quackenbush') && !error.message.includes('900999'),
          'the refusal repeats a value',
        );
        assert.ok(error.message.length > 10);
        return true;
      });
    }
  });

  assert.deepEqual(await people(), before, 'nobody came, nobody went');
  assert.deepEqual(product.pids(), pids, 'no process fell');
  const kinds = ['edge.refused', 'console.refused', 'directory.refused', 'device.refused'];
  const seen = async () =>
    (await pool.query<{ kind: string }>('select distinct kind from log.event where kind = any($1)', [kinds])).rows.map(
      (one) => one.kind,
    );
  await until(async () => (await seen()).length >= 3, 10_000);
  const found = await seen();
  for (const kind of kinds.slice(0, 3)) assert.ok(found.includes(kind), `no event ${kind}; found ${found}`);
});
