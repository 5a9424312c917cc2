import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { KeyPool, newPhone, openLine, Phone, type PushService } from '#sim';
import { openPool } from '#store';
import { readCertificateSettings } from '../../src/run/cli-certificates.ts';
import { uidOf } from '../../src/run/home.ts';
import { buildPages } from '../../src/run/pages.ts';
import { Person } from '../../src/run/person.ts';
import { playApns, until } from '../../src/run/stage.ts';
import { type Product, startProduct } from '../../src/run/supervisor.ts';
import { freePorts, openDir } from './product.ts';

// The two keys that an operator brings: the CA's in a token, and Apple's push certificate. In the whole product, each
// process as its own user, by the commands of docs/certificates.md.
const run = promisify(execFile);
const BARTIZAN = join(import.meta.dirname, '..', '..', 'bin', 'bartizan');
const MODULE = '/usr/lib/softhsm/libsofthsm2.so';
const PIN = '648219';

/** A SoftHSM token with a P-256 key that core's user may use, and the settings that name it. */
function token(): { dir: string; settings: string } {
  const dir = openDir('btz-keys-');
  mkdirSync(join(dir, 'tokens'));
  const conf = join(dir, 'softhsm2.conf');
  writeFileSync(conf, `directories.tokendir = ${join(dir, 'tokens')}\nobjectstore.backend = file\n`, { mode: 0o644 });
  const env = { ...process.env, SOFTHSM2_CONF: conf };
  const quiet = { env, stdio: 'ignore' } as const;
  const labels = ['--free', '--label', 'bartizan', '--pin', PIN, '--so-pin', '99999999'];
  execFileSync('softhsm2-util', ['--init-token', ...labels], quiet);
  const login = ['--module', MODULE, '--token-label', 'bartizan', '--login', '--pin', PIN];
  execFileSync(
    'pkcs11-tool',
    [...login, '--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'ca', '--id', '01'],
    quiet,
  );
  writeFileSync(join(dir, 'pin'), `${PIN}\n`, { mode: 0o400 });
  const uid = uidOf('core');
  if (uid !== undefined)
    for (const path of [join(dir, 'pin'), ...under(join(dir, 'tokens'))]) chownSync(path, uid, uid);
  const caKey = {
    ...{ source: 'pkcs11', module: MODULE, token: 'bartizan', key: 'ca', pinFile: join(dir, 'pin') },
    environment: { SOFTHSM2_CONF: conf },
  };
  const settings = join(dir, 'certificates.json');
  writeFileSync(settings, JSON.stringify({ deviceDays: 90, renewDays: 30, signProfiles: true, caKey }));
  chmodSync(settings, 0o600);
  return { dir, settings };
}

const under = (dir: string): string[] => [
  dir,
  ...readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name)),
];

async function installation(
  t: TestContext,
): Promise<{ product: Product; service: PushService; dir: string; ada: Person }> {
  await buildPages();
  const { dir, settings } = token();
  const home = openDir('btz-flow-');
  const { service, push } = await playApns();
  let product: Product | undefined;
  t.after(async () => {
    await product?.stop();
    await service.close();
    for (const path of [home, dir]) rmSync(path, { recursive: true, force: true });
  });
  const certificates = readCertificateSettings(settings);
  product = await startProduct({ ...{ home, push, founders: 2, portBase: await freePorts() }, ...certificates });
  const ada = new Person(product.urls, product.founders[0]!.admin);
  assert.equal((await ada.join(product.founders[0]!.token)).status, 200);
  assert.equal((await ada.signIn()).status, 200);
  return { product, service, dir, ada };
}

test('the CA’s key in a token and the push certificate, in the whole product', async (t) => {
  const { product, service, dir, ada } = await installation(t);
  const pool = openPool(product.admin, { max: 1 });
  const line = openLine();
  t.after(async () => {
    line.close();
    await pool.end();
  });
  const keys = new KeyPool();
  const bartizan = (...args: string[]) =>
    run(BARTIZAN, [...args, '--home', product.home.dir], { timeout: 60_000 }).then(
      ({ stdout }) => ({ code: 0, said: stdout }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        said: error.stdout + error.stderr,
      }),
    );
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const enrol = async (): Promise<Phone> => {
    const offered = await ada.call('POST', '/api/enrolments', { holders: [null] });
    const [{ link }] = offered.body['items'] as [{ link: string }];
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: keys });
    await phone.enrol(link);
    return phone;
  };
  const state = product.home.state('core');
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  const ours = (phone: Phone) => {
    writeFileSync(join(dir, 'device.der'), Buffer.from(phone.state.identity!.certificate, 'base64'));
    const pem = file('device.pem', openssl('x509', '-inform', 'DER', '-in', join(dir, 'device.der')));
    return openssl('verify', '-x509_strict', '-CAfile', join(state, 'ca.pem'), pem);
  };
  let phone: Phone | undefined;

  await t.test('a phone is certified by the token; no key of the CA is in a file', async () => {
    phone = await enrol();
    assert.match(ours(phone), /OK/);
    assert.equal(existsSync(join(state, 'ca.key')), false);
    const { rows } = await pool.query<{ days: number }>(
      `select extract(days from certificate_not_after - now())::int as days from fleet.device where state = 'enrolled'`,
    );
    assert.ok(rows[0]!.days >= 88 && rows[0]!.days <= 90, 'as long as the settings say');
  });

  await t.test('core dies and finds the same CA in the token; the revocation list comes from it too', async () => {
    const before = readFileSync(join(state, 'ca.pem'), 'utf8');
    process.kill(product.pids()['core']!, 'SIGKILL');
    assert.ok(await until(() => product.process('core').pid === undefined, 5_000, 10));
    await product.process('core').stop();
    product.process('core').start();
    await product.process('core').ready;
    assert.match(ours(await enrol()), /OK/);
    assert.equal(readFileSync(join(state, 'ca.pem'), 'utf8'), before);
    const list = await line.send('GET', `${product.urls.edge}/crl`);
    writeFileSync(join(dir, 'crl.der'), list.body);
    openssl('crl', '-inform', 'DER', '-in', join(dir, 'crl.der'), '-CAfile', join(state, 'ca.pem'), '-noout');
  });

  await t.test('bartizan push install: wrong ones are refused in words and change nothing', async () => {
    assert.match((await bartizan('push', 'status')).said, /NO PUSH GETS THROUGH/);
    const foreign = await bartizan(
      'push',
      'install',
      file('foreign.pem', service.issue('com.apple.mgmt.External.other')),
    );
    assert.equal(foreign.code, 1);
    assert.match(foreign.said, /REFUSED.*2 enrolled devices/s);
    const junk = await bartizan('push', 'install', file('junk.pem', 'no certificate'));
    assert.notEqual(junk.code, 0);
    assert.doesNotMatch(junk.said, /at .*\.ts:\d+/, 'words, no stack');
    assert.equal(existsSync(join(state, 'push.pem')), false);
  });

  await t.test('the right one is taken up by the running core, tried with APNs, and wakes a phone', async () => {
    const token_ = Buffer.from(phone!.state.pushToken, 'base64');
    service.knows(token_);
    const woken: string[] = [];
    service.onPush = ({ token: hex, magic }) => {
      if (hex === token_.toString('hex') && magic === phone!.state.pushMagic) woken.push(magic);
    };
    const done = await bartizan('push', 'install', file('push.pem', service.issue(product.topic)));
    assert.equal(done.code, 0, done.said);
    assert.match(done.said, /APNs accepts it/);
    const { rows } = await pool.query<{ handle: string }>('select handle from fleet.device where udid = $1', [
      phone!.state.udid,
    ]);
    const asked = await ada.call('POST', '/api/intents', {
      ...{ verb: 'SecurityInfo', devices: [rows[0]!.handle], params: {}, purpose: 'a test of pushes' },
    });
    assert.equal(asked.status, 200);
    assert.ok(await until(() => woken.length > 0, 15_000), 'the phone was woken');
    assert.equal(await phone!.poll(), 1);
    const status = JSON.parse((await bartizan('push', 'status', '--json')).said) as Record<string, unknown>;
    assert.equal(status['obstacle'], null);
    assert.equal(status['topic'], product.topic);
    assert.ok(Number(status['daysLeft']) > 0);
  });
});
