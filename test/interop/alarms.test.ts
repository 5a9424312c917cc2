import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Alarms, checkAlarms } from '#alarm';
import { uuidv7 } from '#base';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { acknowledgeAlert, endSilence, listChannels, listSilences, silenceRule, testChannels } from '#watch';
import { freePorts } from '../flows/product.ts';
import { startMail } from './courier-stage.ts';

const ME = 'amber-otter-4821';
const PASSWORD = 'a password of the test';
const MAC = `whsec_${randomBytes(32).toString('base64')}`;
const pair = generateKeyPairSync('ed25519');
const seed = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
const folder = mkdtempSync(join(tmpdir(), 'btz-alarms-'));

interface Took {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Stands for every receiver that takes HTTP; answers by plan, then 200. */
class Peer {
  readonly took: Took[] = [];
  plan: number[] = [];
  url = '';
  readonly server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      const status = this.plan.shift() ?? 200;
      if (status === 200)
        this.took.push({ method: request.method!, path: request.url!, headers: request.headers, text });
      response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:9/' } : {}).end('{}');
    });
  });

  async listen(port = 0): Promise<this> {
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  at(path: string): Took[] {
    return this.took.filter((one) => one.path.startsWith(path));
  }
}

let database: TestDatabase;
let admin: Pool;
let own: Pool;
let seat: Pool;
let alarms: Alarms;
let clock = Date.now();
const peer = new Peer();
let manager: ChildProcess;
let managerUrl = '';
let mail: Awaited<ReturnType<typeof startMail>>;

before(async () => {
  database = await testDatabase();
  admin = openPool(database.admin);
  own = openPool(database.as('courier'), { max: 6 });
  seat = openPool(database.as('console'));
  await peer.listen();
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout ${folder}/key.pem -out ${folder}/cert.pem`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  mail = await startMail({
    ...{ tls: 'starttls', cert: `${folder}/cert.pem`, key: `${folder}/key.pem`, user: 'alerts', password: PASSWORD },
  });
  const port = await freePorts();
  writeFileSync(join(folder, 'am.yml'), 'route:\n  receiver: none\nreceivers:\n  - name: none\n');
  manager = spawn(
    'prometheus-alertmanager',
    [
      ...[`--config.file=${folder}/am.yml`, `--storage.path=${folder}/am`, '--cluster.listen-address='],
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  managerUrl = `http://127.0.0.1:${port}`;
  for (let n = 0; n < 100; n += 1) {
    if (
      await fetch(`${managerUrl}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
    await pause(100);
  }
  alarms = new Alarms({
    ...{ pool: own, console: 'https://console.example', organisation: 'org-test', now: () => clock },
    log: { info() {}, warn() {}, error() {} },
  });
});
after(async () => {
  peer.close();
  manager.kill('SIGKILL');
  await mail.close();
  for (const pool of [own, seat, admin]) await pool.end();
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await admin.query(
    'delete from alarm.delivery; delete from alarm.held; delete from alarm.silence; delete from watch.alert',
  );
  peer.took.length = 0;
  peer.plan = [];
  mail.mails.length = 0;
});

/** As watch raises one: the same insert, by the same trigger. */
async function raise(level: string, more: { rule?: string; actor?: string; group?: string } = {}): Promise<string> {
  const id = uuidv7();
  const { rule = 'mass-reveal', actor = ME, group = id } = more;
  await admin.query(
    `insert into watch.alert (id, rule, title, level, group_key, window_start, event_uid, event_position, event_time, actor, events, detail)
     values ($1, $2, 'Somebody reads many', $3, $4, clock_timestamp(), $1, 1, now(), $5, 3, '{}')`,
    [id, rule, level, group, actor],
  );
  return id;
}
const due = () => admin.query(`update alarm.delivery set next_at = now() where state = 'waiting'`);
const channel = (kind: string, more: object) => ({ name: kind, kind, least: 'low', ...more });
const use = (channels: readonly object[], more: object = {}) => alarms.use(checkAlarms({ channels, ...more }));
const webhook = (more: object = {}) => channel('webhook', { url: `${peer.url}/hook`, secrets: [MAC], ...more });
const kinds = async (kind: string) =>
  (
    await admin.query<{ detail: Record<string, unknown> }>(
      `select body->'unmapped' as detail from log.event where kind = $1`,
      [kind],
    )
  ).rows;

test('each kind of channel is told as its receiver documents it; OpenSSL checks the signatures', async () => {
  const { url } = peer;
  await use([
    webhook({ secrets: [MAC, `whsk_${seed.toString('base64')}`] }),
    channel('slack', { url: `${url}/slack` }),
    channel('teams', { url: `${url}/teams` }),
    channel('matrix', { url, room: '!duty:example.org', token: 'matrix-token' }),
    channel('ntfy', { url: `${url}/ntfy`, topic: 'duty', token: 'ntfy-token' }),
    channel('pagerduty', { url: `${url}/v2/enqueue`, routingKey: 'R0123456789ABCDEFGHIJ' }),
    channel('alertmanager', { url: managerUrl }),
    channel('email', {
      ...{ host: '127.0.0.1', port: mail.port, tls: 'starttls', from: 'alerts@example.org', to: ['duty@example.org'] },
      ...{ user: 'alerts', password: PASSWORD, ca: readFileSync(`${folder}/cert.pem`, 'utf8') },
    }),
  ]);
  const alert = await raise('critical');
  assert.equal(await alarms.step(), 8);
  assert.deepEqual(
    (await listChannels(seat)).filter(({ code, waiting }) => code !== null || waiting > 0),
    [],
  );

  const [hook] = peer.at('/hook');
  const {
    'webhook-id': id,
    'webhook-timestamp': at,
    'webhook-signature': signed,
  } = hook!.headers as Record<string, string>;
  const body = JSON.parse(hook!.text) as { type: string; data: Record<string, unknown> };
  assert.deepEqual([body.type, body.data['alert'], body.data['level']], ['alert.raised', alert, 'critical']);
  const [mac, edwards] = signed!.split(' ');
  writeFileSync(join(folder, 'signed'), `${id}.${at}.${hook!.text}`);
  const hex = Buffer.from(MAC.slice(6), 'base64').toString('hex');
  const hmac = execFileSync('openssl', [
    ...['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `hexkey:${hex}`, '-binary', join(folder, 'signed')],
  ]);
  assert.equal(mac, `v1,${hmac.toString('base64')}`);
  writeFileSync(join(folder, 'signature'), Buffer.from(edwards!.slice('v1a,'.length), 'base64'));
  writeFileSync(join(folder, 'public.pem'), pair.publicKey.export({ format: 'pem', type: 'spki' }));
  execFileSync('openssl', [
    ...['pkeyutl', '-verify', '-pubin', '-inkey', join(folder, 'public.pem'), '-rawin'],
    ...['-in', join(folder, 'signed'), '-sigfile', join(folder, 'signature')],
  ]);

  const of = (path: string) => ({ ...peer.at(path)[0]!, body: JSON.parse(peer.at(path)[0]!.text) });
  assert.match(of('/slack').body.text, /CRITICAL Somebody reads many\n/);
  assert.equal(of('/teams').body.attachments[0].content.type, 'AdaptiveCard');
  const matrix = of('/_matrix');
  assert.match(
    matrix.path,
    /^\/_matrix\/client\/v3\/rooms\/!duty%3Aexample\.org\/send\/m\.room\.message\/[0-9a-f-]{36}$/,
  );
  assert.deepEqual([matrix.method, matrix.headers.authorization], ['PUT', 'Bearer matrix-token']);
  assert.deepEqual([of('/ntfy').body.topic, of('/ntfy').body.priority], ['duty', 5]);
  const { event_action: act, dedup_key: key, payload } = of('/v2').body;
  assert.deepEqual([act, key, payload.severity], ['trigger', alert, 'critical']);
  const [sent] = mail.mails;
  assert.deepEqual([sent!.to, sent!.tls, sent!.user], [['duty@example.org'], true, 'alerts']);
  assert.match(sent!.data, /Subject: \[org-test\] CRITICAL Somebody reads many/);
  assert.match(sent!.data, /Auto-Submitted: auto-generated/i);

  // A real Alertmanager has it, under labels that tell it from others, and lets it go when somebody takes it up.
  const there = async () =>
    (await (await fetch(`${managerUrl}/api/v2/alerts`)).json()) as {
      labels: Record<string, string>;
      generatorURL: string;
    }[];
  assert.deepEqual(
    (await there()).map(({ labels, generatorURL }) => [labels['alertname'], labels['alert'], generatorURL]),
    [['mass-reveal', alert, `https://console.example/alerts/${alert}`]],
  );
  const t = await seat.connect();
  try {
    await acknowledgeAlert(t as never, { id: alert, by: ME });
  } finally {
    t.release();
  }
  clock = Date.now();
  assert.equal(await alarms.step(), 8, 'whoever was told hears that somebody took it up');
  for (let n = 0; n < 50 && (await there()).length > 0; n += 1) await pause(100);
  assert.deepEqual(await there(), []);
  assert.equal(JSON.parse(peer.at('/v2').at(-1)!.text).event_action, 'acknowledge');
});

test('what is not taken is tried again under the same id; a redirect is not followed; 410 ends it', async () => {
  await use([webhook()]);
  peer.plan = [500, 302];
  await raise('high');
  await alarms.step();
  assert.equal(await alarms.step(), 0, 'not at once');
  const { rows } = await admin.query<{ id: string; code: string }>('select id, code from alarm.delivery');
  assert.equal(rows[0]!.code, 'status-500');
  for (let n = 0; n < 2; n += 1) {
    await due();
    await alarms.step();
  }
  assert.deepEqual(
    peer.took.map(({ headers }) => headers['webhook-id']),
    [rows[0]!.id],
  );
  peer.plan = [410];
  await raise('high');
  await alarms.step();
  await due();
  assert.equal(await alarms.step(), 0, 'who is gone is not asked again');
  assert.equal((await kinds('alert.undelivered')).length, 1);
});

test('a channel that fails is told to the others, once, and so is that it is back', async () => {
  await use([webhook()]);
  await admin.query(`update alarm.channel set failing_since = null, told_at = null`);
  peer.plan = [503, 503, 503];
  await raise('high');
  await alarms.step();
  await admin.query(`update alarm.channel set failing_since = now() - interval '6 minutes' where name = 'webhook'`);
  for (let n = 0; n < 3; n += 1) {
    await due();
    await alarms.step();
  }
  assert.deepEqual(
    (await kinds('alert.channel_failing')).map(({ detail }) => detail['channel']),
    ['webhook'],
  );
  assert.equal((await kinds('alert.channel_back')).length, 1);
});

test('nobody is told twice of one thing, nor of lesser things beside a critical one; a silence ends and is in the log', async () => {
  await use([webhook()]);
  const tell = async (...given: Parameters<typeof raise>) => {
    const before = peer.took.length;
    await raise(...given);
    await alarms.step();
    return peer.took.length - before;
  };
  assert.equal(await tell('high', { group: 'one', actor: 'admin-a' }), 1);
  assert.equal(await tell('high', { group: 'one', actor: 'admin-a' }), 0, 'the same again');
  assert.equal(await tell('critical', { rule: 'decoy-touched', actor: 'admin-b' }), 1);
  assert.equal(await tell('medium', { rule: 'reading-cap-hit', actor: 'admin-b' }), 0, 'beside a critical one');
  assert.equal(await tell('medium', { rule: 'reading-cap-hit', actor: 'admin-c' }), 1);
  const id = await silenceRule(seat, { rule: 'mass-reveal', minutes: 30, why: 'a planned exercise', by: ME });
  assert.equal(await tell('high', { actor: 'admin-d' }), 0);
  assert.equal(await tell('critical', { actor: 'admin-e' }), 1, 'what is critical is told all the same');
  assert.deepEqual(
    (await listSilences(seat)).map(({ rule, held }) => [rule, held]),
    [['mass-reveal', 1]],
  );
  await endSilence(seat, id, ME);
  await assert.rejects(endSilence(seat, id, ME), { code: 'unknown-silence' });
  assert.equal(await tell('high', { actor: 'admin-f' }), 1);
  assert.deepEqual(
    (await kinds('alert.held')).map(({ detail }) => detail['code']),
    ['repeated', 'inhibited', 'silenced'],
  );
  await assert.rejects(silenceRule(seat, { rule: 'x', minutes: 20_000, why: 'for ever', by: ME }));
});

test('what nobody takes up goes to whoever waits for that; a test goes to each', async () => {
  await use([
    webhook({ least: 'critical' }),
    channel('slack', { url: `${peer.url}/slack`, least: 'high', afterMinutes: 10 }),
  ]);
  const alert = await raise('high');
  clock += 60_000;
  await alarms.step();
  assert.equal(peer.took.length, 0, 'not critical, and not late yet');
  await admin.query(`update watch.alert set created_at = now() - interval '11 minutes' where id = $1`, [alert]);
  for (let n = 0; n < 2; n += 1) {
    clock += 60_000;
    await alarms.step();
  }
  assert.deepEqual(
    peer.took.map(({ text }) => JSON.parse(text).text.split('\n')[0]),
    ['[org-test] HIGH Nobody has taken it up: Somebody reads many'],
  );
  peer.took.length = 0;
  assert.equal(await testChannels(seat, ME), 2);
  await alarms.step();
  assert.deepEqual(peer.took.map(({ path }) => path).sort(), ['/hook', '/slack']);
});

test('what is long over goes, and the same channels set again are no event', async () => {
  await use([webhook()]);
  const before = (await kinds('alert.channels_set')).length;
  await use([webhook()]);
  assert.equal((await kinds('alert.channels_set')).length, before);
  await use([webhook({ least: 'critical' })]);
  assert.equal((await kinds('alert.channels_set')).length, before + 1);
  await raise('critical');
  await alarms.step();
  await silenceRule(seat, { rule: 'mass-reveal', minutes: 5, why: 'an exercise', by: ME });
  await raise('high');
  const left = async () => {
    const { rows } = await admin.query<{ n: number[] }>(
      `select array[(select count(*)::int from alarm.delivery), (select count(*)::int from alarm.held),
         (select count(*)::int from alarm.silence)] as n`,
    );
    return rows[0]!.n;
  };
  await admin.query('select alarm.prune()');
  assert.deepEqual(await left(), [1, 1, 1], 'not before a year');
  await admin.query(`update alarm.delivery set done_at = done_at - interval '2 years'; update alarm.held set at = at - interval '2 years';
    update alarm.silence set until = until - interval '2 years'`);
  await admin.query('select alarm.prune()');
  assert.deepEqual(await left(), [0, 0, 0]);
});

test('the heartbeat stops when watch does not see what happens', async () => {
  await use([], { heartbeat: { url: `${peer.url}/alive`, everySeconds: 10 } });
  await admin.query(`insert into watch.cursor (name) values ('rules') on conflict do nothing`);
  const seen = async () => {
    clock += 11_000;
    return alarms.beat();
  };
  // As core numbers them.
  await admin.query(
    `update log.event e set position = x.n from (select uid, row_number() over (order by seq) as n from log.event) x where x.uid = e.uid`,
  );
  await admin.query(`update watch.cursor set position = 1000000 where name = 'rules'`);
  assert.equal(await seen(), true);
  assert.equal(peer.at('/alive').length, 1);
  assert.equal(await alarms.beat(), false, 'not more often than asked');
  await admin.query(`update watch.cursor set position = -1 where name = 'rules'`);
  assert.equal(await seen(), true, 'a moment behind is not blind');
  await admin.query(`update log.event set time = now() - interval '5 minutes'`);
  assert.equal(await seen(), false);
  assert.equal(peer.at('/alive').length, 2);
});

test('killed again and again while the receiver is away, not one alert is lost', async () => {
  const gone = new Peer();
  await gone.listen();
  const port = Number(new URL(gone.url).port);
  gone.close();
  const settings = JSON.stringify({ channels: [webhook({ url: `${gone.url}/hook` })] });
  await use([webhook({ url: `${gone.url}/hook` })]);
  const raised: string[] = [];
  let back: Peer | undefined;
  for (let round = 0; round < 8; round += 1) {
    for (let n = 0; n < 10; n += 1) raised.push(await raise('high'));
    await due();
    if (round === 4) back = await new Peer().listen(port);
    const args = [join(import.meta.dirname, 'alarms-child.ts'), JSON.stringify(database.as('courier')), settings];
    const child = spawn(process.execPath, ['--import', join(import.meta.dirname, '../preload.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await pause(20 + round * 15);
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await use([webhook({ url: `${gone.url}/hook` })]);
  for (let n = 0; n < 20; n += 1) {
    await due();
    if ((await alarms.step()) === 0) break;
  }
  const told = back!.took.map(({ text, headers }) => [JSON.parse(text).data.alert as string, headers['webhook-id']]);
  back!.close();
  assert.deepEqual([...new Set(told.map(([alert]) => alert))].sort(), raised.sort());
  assert.equal(new Set(told.map(([, id]) => id)).size, raised.length, 'a second try has the id of the first');
});

test('settings that would tell strangers, or nobody, are refused with the member that is wrong', () => {
  const bad: readonly [unknown, RegExp][] = [
    [{ channels: [webhook({ url: 'http://example.org/hook' })] }, /https/],
    [{ channels: [webhook({ url: 'https://u:p@example.org/' })] }, /password/],
    [{ channels: [webhook({ secrets: ['short'] })] }, /secrets/],
    [
      {
        channels: [channel('email', { host: 'mail.example.org', port: 25, tls: 'none', from: 'a@b.c', to: ['a@b.c'] })],
      },
      /tls/,
    ],
    [{ channels: [webhook(), webhook()] }, /one name/],
    [{ channels: [channel('pigeon', {})] }, /kind/],
    [{ channels: [webhook({ colour: 'red' })] }, /unknown member/],
    [{ heartbeat: { url: 'https://example.org', everySeconds: 1 } }, /everySeconds/],
    [[], /object/],
  ];
  for (const [value, message] of bad) {
    assert.throws(
      () => checkAlarms(value),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'settings');
        assert.match(error.message, message);
        assert.ok(!error.message.includes('example.org'), 'no value is repeated');
        return true;
      },
    );
  }
});
