import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { canonicalJson, fromBase64url, type Json, type Logger, uuidv7 } from '#base';
import { Courier, type CourierSettings, checkSettings, Queue } from '#courier';
import { askAutomatic, tellHeldChanges } from '#respond';
import {
  type Channel,
  type GuardClient,
  hpkeSeal,
  messageHashes,
  type Notice,
  type SealedRow,
  type Send,
  type Topic,
  type Variables,
} from '#seal';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { ADMINS, Guards, ORG, person, touch } from '../spec/guards/fixture.ts';
import { SmsPeer, startMail } from './courier-stage.ts';

const TOKEN = 'gateway-token-of-the-test';
const PEOPLE = Array.from({ length: 60 }, (_, n) => person(n));
const DECOY = PEOPLE[59]!;
const number = (n: number) => `+44770090${String(100 + n).padStart(4, '0')}`;
const address = (n: number) =>
  n === 40 ? 'unknown@example.org' : n === 41 ? 'later@example.org' : `p${n}@example.org`;

let guards: Guards;
let database: TestDatabase;
let admin: Pool;
let glass: Pool;
let own: Pool;
let core: Pool;
let sealer: GuardClient;
let sms: SmsPeer;
let url: string;
const said: string[] = [];
const folder = mkdtempSync(join(tmpdir(), 'btz-courier-'));

const log: Logger = {
  info: (...all) => said.push(JSON.stringify(all)),
  warn: (...all) => said.push(JSON.stringify(all)),
  error: (...all) => said.push(JSON.stringify(all, (_, value) => (value instanceof Error ? String(value) : value))),
};

async function put(rows: readonly SealedRow[]): Promise<void> {
  for (const { subject, field, version, row } of rows) {
    await admin.query('insert into people.person (handle) values ($1) on conflict do nothing', [subject]);
    const bytes = Buffer.from(fromBase64url(row));
    await admin.query('insert into people.sealed (subject, field, version, row) values ($1, $2, $3, $4)', [
      ...[subject, field, version, bytes],
    ]);
  }
}

before(async () => {
  [guards, database] = await Promise.all([Guards.start(), testDatabase()]);
  admin = openPool(database.admin);
  [glass, own, core] = [
    openPool(database.as('glass')),
    openPool(database.as('courier'), { max: 3 }),
    openPool(database.as('core')),
  ];
  sealer = guards.client('sealer', 'courier');
  await put(await guards.settle(Object.fromEntries(PEOPLE.map((one, n) => [one, number(n)]))));
  await put(await guards.settle(Object.fromEntries(PEOPLE.map((one, n) => [one, address(n)])), 'email'));
  await guards.client('ledger', 'intake').call('decoys', { handles: [DECOY] });
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout ${folder}/key.pem -out ${folder}/cert.pem`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  sms = new SmsPeer();
  url = await sms.listen();
});
after(async () => {
  sms.close();
  for (const pool of [glass, own, core, admin]) await pool.end();
  await Promise.all([guards.close(), database.close()]);
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await admin.query(`update courier.message set state = 'failed' where state in ('waiting', 'taken', 'sending')`);
  sms.plan = [];
  sms.posts.length = 0;
  sms.delivered.clear();
});

const smsSettings = (more: object = {}): CourierSettings =>
  checkSettings({
    sms: {
      ...{ url, bearer: TOKEN, idempotencyHeader: 'Idempotency-Key', timeoutSeconds: 1 },
      ...{ body: { to: '{to}', message: { content: '{text}' }, reference: '{id}' } },
      ...more,
    },
  });

const newCourier = (queue = new Queue(own)) =>
  new Courier({ ...{ queue, sealer, key: guards.courier.key, ledgerKey: guards.keys.ledger }, organisation: ORG, log });

/** As glass's page and server do it. */
async function ask(
  to: string,
  channel: Channel = 'sms',
  topic: Topic = 'lost-phone',
  variables: Variables = { reference: 'INC-7' },
): Promise<string> {
  const message: Send = {
    ...{ v: 1, op: 'send', id: uuidv7(), admin: ADMINS[0], channel, topic, subject: to },
    ...messageHashes(topic, ORG, variables),
    notAfter: Date.now() + 3_600_000,
  };
  const box = hpkeSeal(
    fromBase64url(guards.courier.publicKey),
    Buffer.from(canonicalJson(variables as unknown as Json)),
    {
      ...{ info: 'bartizan message v1', aad: Buffer.from(message.id) },
    },
  );
  const { rows } = await glass.query<{ state: string }>('select courier.ask($1, $2, $3) as state', [
    ...[JSON.stringify(message), JSON.stringify(touch(guards.passkey(), message)), box],
  ]);
  assert.equal(rows[0]!.state, 'waiting');
  return message.id;
}

async function stateOf(id: string): Promise<{ state: string; reason: string | null }> {
  const { rows } = await admin.query<{ state: string; reason: string | null }>(
    'select state, reason from courier.message where id = $1',
    [id],
  );
  return rows[0]!;
}

const due = () => admin.query(`update courier.message set next_at = now() where state = 'waiting'`);

async function run(courier: Courier): Promise<void> {
  while ((await courier.step()) > 0);
}

test('an SMS reaches one person: the gateway learns number and text, the database never', async () => {
  const link = `https://edge.example.org/enrol/${'A'.repeat(43)}`;
  const id = await ask(PEOPLE[0]!, 'sms', 'enrolment-link', { link });
  const waiting = JSON.stringify((await admin.query('select * from courier.message where id = $1', [id])).rows);
  assert.ok(!waiting.includes('enrol/') && !waiting.includes(number(0)));
  const courier = newCourier();
  await courier.start(smsSettings());
  await run(courier);
  assert.deepEqual(await stateOf(id), { state: 'sent', reason: null });
  assert.equal(sms.posts.length, 1);
  const { key, authorization, body } = sms.posts[0]!;
  assert.deepEqual([key, authorization, body['to'], body['reference']], [id, `Bearer ${TOKEN}`, number(0), id]);
  assert.match((body['message'] as { content: string }).content, /^org-test: set up your work phone .*\/enrol\/A{43} /);
  const { rows } = await admin.query('select document, assertion, box from courier.message where id = $1', [id]);
  assert.deepEqual(rows, [{ document: null, assertion: null, box: null }]);
});

test('a gateway that fails is asked again under the same id; what it repeats of the number is kept nowhere', async () => {
  sms.plan = [500, 429, 'drop', 202];
  const id = await ask(PEOPLE[1]!);
  const courier = newCourier();
  await courier.start(smsSettings());
  for (const reason of ['gateway-500', 'gateway-429', 'no-answer']) {
    await run(courier);
    assert.deepEqual(await stateOf(id), { state: 'waiting', reason });
    await due();
  }
  await run(courier);
  assert.equal((await stateOf(id)).state, 'sent');
  assert.deepEqual(new Set(sms.posts.map((post) => post.key)), new Set([id]));
  const no = await ask(PEOPLE[2]!);
  sms.plan = [400];
  await run(courier);
  assert.deepEqual(await stateOf(no), { state: 'failed', reason: 'gateway-400' });
  const events = await admin.query(`select body::text from log.event where kind like 'message.%'`);
  const all = `${said.join()}${JSON.stringify(events.rows)}${JSON.stringify((await admin.query('select * from courier.message')).rows)}`;
  for (const value of [number(1), number(2), number(1).slice(1), TOKEN]) assert.ok(!all.includes(value));
});

test('a gateway that is down does not spend the hour’s budget: after some failures one message tries for all', async () => {
  for (let n = 43; n < 51; n += 1) await ask(PEOPLE[n]!);
  sms.plan = Array.from({ length: 40 }, () => 503);
  const courier = newCourier();
  await courier.start(smsSettings());
  await run(courier);
  assert.equal(sms.posts.length, 8);
  for (let n = 0; n < 5; n += 1) {
    await due();
    await run(courier);
  }
  assert.equal(sms.posts.length, 8);
  // Other settings are tried at once.
  sms.plan = [];
  await courier.change(smsSettings());
  await run(courier);
  assert.equal(sms.delivered.size, 8);
});

test('without an idempotency key nothing doubtful is sent twice, and it is said', async () => {
  sms.plan = ['hang'];
  const id = await ask(PEOPLE[3]!);
  const courier = newCourier();
  await courier.start(smsSettings({ idempotencyHeader: undefined }));
  await run(courier);
  assert.deepEqual(await stateOf(id), { state: 'uncertain', reason: 'no-answer' });
  await due();
  await run(courier);
  assert.equal(sms.posts.length, 1);
});

test('courier stops at any point: with an idempotent gateway all arrive once, with another none arrives twice', async () => {
  for (const idempotent of [true, false]) {
    for (const point of ['taken', 'sending', 'finish'] as const) {
      sms.delivered.clear();
      sms.posts.length = 0;
      const id = await ask(PEOPLE[4]!);
      const settings = smsSettings(idempotent ? {} : { idempotencyHeader: undefined });
      const stops = new Queue(own);
      const stop = () => Promise.reject(new Error('stopped'));
      if (point === 'taken') stops.notice = stops.sending = stop;
      if (point === 'sending') {
        const mark = stops.sending.bind(stops);
        stops.sending = async (one) => {
          await mark(one);
          return stop();
        };
      }
      if (point === 'finish') stops.finish = stop;
      const dying = newCourier(stops);
      await dying.start(settings);
      await assert.rejects(dying.step(), /stopped/);
      const next = newCourier();
      await next.start(settings);
      await run(next);
      const { state } = await stateOf(id);
      assert.equal(sms.delivered.size, idempotent || point !== 'sending' ? 1 : 0, `${point}, ${idempotent}`);
      assert.equal(state, idempotent || point === 'taken' ? 'sent' : 'uncertain', `${point}, ${idempotent}`);
      if (!idempotent) assert.ok(sms.posts.length <= 1);
      next.close();
    }
  }
});

test('a notice goes to all whom two people signed for, but to no decoy, and no row tells which that is', async () => {
  const subjects = [...PEOPLE.slice(10, 39), DECOY].sort();
  const variables = { date: '2026-11-25', reference: 'INC-9' };
  const document: Notice = {
    ...{ v: 1, op: 'notice', id: uuidv7(), channel: 'sms', topic: 'breach-notice', variables, subjects },
    ...messageHashes('breach-notice', ORG, variables),
    ...{ requester: ADMINS[0], purpose: 'a test of notices', notAfter: Date.now() + 3_600_000 },
  };
  await core.query(
    `insert into respond.approval (id, op, document, requester, not_after) values ($1, 'notice', $2, $3, now() + interval '1 hour')`,
    [document.id, JSON.stringify(document), document.requester],
  );
  const sign = (n: number) =>
    core.query('insert into respond.signature (approval_id, admin, assertion) values ($1, $2, $3)', [
      ...[document.id, ADMINS[n], JSON.stringify(touch(guards.passkey(n), document))],
    ]);
  const courier = newCourier();
  await courier.start(smsSettings());
  await sign(0);
  await run(courier);
  assert.equal(sms.posts.length, 0, 'one signature sends nothing');
  await sign(1);
  await run(courier);
  assert.equal(sms.posts.length, subjects.length - 1);
  assert.ok(!sms.posts.some(({ body }) => body['to'] === number(59)), 'the decoy is not written to');
  const { rows } = await admin.query<{ subject: string; state: string; rest: string }>(
    `select subject, state, concat_ws('|', lane, channel, topic, template, reason, attempts, document is null, box is null,
       done_at is null, asked_by) as rest from courier.message where notice_id = $1`,
    [document.id],
  );
  assert.equal(rows.length, subjects.length);
  assert.equal(new Set(rows.map(({ state, rest }) => `${state} ${rest}`)).size, 1, 'all rows are alike');
  const approval = await admin.query('select state from respond.approval where id = $1', [document.id]);
  assert.deepEqual(approval.rows, [{ state: 'executed' }]);
});

test('a rule’s message goes without a touch, within its small budget', async () => {
  const asked = { rule: 'number-held', topic: 'number-change', channel: 'sms', organisation: ORG } as const;
  const variables = { date: '2026-11-25' };
  await askAutomatic(core, guards.core.privateKey, { ...asked, variables, subject: PEOPLE[6]!, now: Date.now() });
  const courier = newCourier();
  await courier.start(smsSettings());
  await run(courier);
  assert.equal(sms.posts.length, 1);
  // A changed number that waits is told to the number from before, once.
  await admin.query(
    `insert into people.arriving (subject, field, version, outer_layer, held_until)
     values ($1, 'number', 2, decode(repeat('00', 289), 'hex'), now() + interval '1 day')`,
    [PEOPLE[8]],
  );
  const telling = { coreKey: guards.core.privateKey, organisation: ORG, now: Date.now };
  assert.equal(await tellHeldChanges(core, telling), 1);
  assert.equal(await tellHeldChanges(core, telling), 0);
  await run(courier);
  assert.deepEqual([sms.posts.length, sms.posts[1]!.body['to']], [2, number(8)]);
  await assert.rejects(
    askAutomatic(core, guards.core.privateKey, { ...asked, variables: {}, subject: PEOPLE[6]!, now: Date.now() }),
    /not those of this message/,
  );
});

test('whoever is erased is forgotten, what waits for them included', async () => {
  const id = await ask(PEOPLE[42]!);
  await admin.query('delete from people.person where handle = $1', [PEOPLE[42]]);
  const { rows } = await admin.query('select from courier.message where id = $1 or subject = $2', [id, PEOPLE[42]]);
  assert.equal(rows.length, 0);
});

test('a text that is not the signed one, and a message that nobody touched, are refused', async () => {
  const id = await ask(PEOPLE[7]!);
  const foreign = await ask(PEOPLE[8]!);
  const other = hpkeSeal(fromBase64url(guards.courier.publicKey), Buffer.from('{"reference":"INC-8"}'), {
    ...{ info: 'bartizan message v1', aad: Buffer.from(id) },
  });
  await admin.query('update courier.message set box = $2 where id = $1', [id, other]);
  await admin.query(
    `update courier.message set document = jsonb_set(document, '{subject}', to_jsonb($2::text)), subject = $2 where id = $1`,
    [foreign, PEOPLE[9]],
  );
  const courier = newCourier();
  await courier.start(smsSettings());
  await run(courier);
  assert.deepEqual(await stateOf(id), { state: 'refused', reason: 'text-differs' });
  assert.deepEqual(await stateOf(foreign), { state: 'refused', reason: 'refused' });
  assert.equal(sms.posts.length, 0);
});

for (const tls of ['starttls', 'implicit'] as const) {
  test(`e-mail goes through a foreign server over TLS (${tls}) with a password`, { timeout: 30_000 }, async () => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const server = await startMail({ tls, cert, key, user: 'courier', password: 'mail-secret' });
    const ca = readFileSync(cert, 'utf8');
    const mail = { host: '127.0.0.1', port: server.port, tls, from: 'no-reply@example.org', timeoutSeconds: 5 };
    const right = { ...mail, user: 'courier', password: 'mail-secret', ca };
    const courier = newCourier();
    try {
      const id = await ask(PEOPLE[5]!, 'email');
      // A server that shows another certificate gets nothing, nor does one that does not know us.
      await courier.start(checkSettings({ mail: { ...right, ca: undefined } }));
      await run(courier);
      assert.deepEqual([(await stateOf(id)).state, server.mails.length], ['waiting', 0]);
      await due();
      await courier.change(checkSettings({ mail: { ...right, password: 'wrong' } }));
      await run(courier);
      assert.deepEqual([(await stateOf(id)).state, server.mails.length], ['waiting', 0]);
      await due();
      await courier.change(checkSettings({ mail: right }));
      await run(courier);
      assert.deepEqual(await stateOf(id), { state: 'sent', reason: null });
      const [got] = server.mails;
      assert.deepEqual(
        [got!.from, got!.to, got!.tls, got!.user],
        ['no-reply@example.org', [address(5)], true, 'courier'],
      );
      assert.match(got!.data, /Subject: Your work phone was reported lost/);
      assert.match(got!.data, new RegExp(`Message-ID: <${id}@example.org>`));
      if (tls === 'implicit') return;
      const [no, later] = [await ask(PEOPLE[40]!, 'email'), await ask(PEOPLE[41]!, 'email')];
      await run(courier);
      assert.deepEqual(await stateOf(no), { state: 'failed', reason: 'smtp-550' });
      assert.deepEqual(await stateOf(later), { state: 'waiting', reason: 'smtp-451' });
      const all = `${said.join()}${JSON.stringify((await admin.query('select * from courier.message')).rows)}`;
      for (const value of ['unknown@', 'later@', address(5), 'mail-secret']) assert.ok(!all.includes(value), value);
    } finally {
      courier.close();
      await server.close();
    }
  });
}

test('settings that are not understood are refused, and no value of theirs is repeated', () => {
  const body = { to: '{to}', text: '{text}' };
  for (const [given, what] of [
    [{ sms: { url: 'http://sms.example.org/', body } }, /https/],
    [{ sms: { url: 'https://user:hidden-word@sms.example.org/', body } }, /no password/],
    [{ sms: { url, body: { to: '{to}' } } }, /\{text\}/],
    [{ sms: { url, body, token: 'hidden-word' } }, /unknown member/],
    [{ sms: { url, body, bearer: 'hidden-word', basic: { user: 'a', password: 'b' } } }, /both/],
    [{ mail: { host: 'mail.example.org', port: 25, tls: 'none', from: 'a@example.org' } }, /this machine/],
    [{ mail: { host: 'mail.example.org', port: 587, tls: 'starttls', from: 'hidden-word' } }, /no address/],
    [[], /no object/],
  ] as const) {
    assert.throws(
      () => checkSettings(given),
      (error: Error) => what.test(error.message) && !error.message.includes('hidden-word'),
    );
  }
});
