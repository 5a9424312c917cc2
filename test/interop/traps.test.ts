import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { getDevice } from '#fleet';
import { KeyPool, newPhone, openLine, Phone, type Send } from '#sim';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// What real clients trip over and no other test names; docs/tolerance.md lists all of them.
let plane: DevicePlane;
let line: ReturnType<typeof openLine>;
const keys = new KeyPool();
before(async () => {
  plane = await devicePlane();
  line = openLine();
});
after(async () => {
  line.close();
  await plane.close();
});

async function enrolled(send: Send = line.send): Promise<{ phone: Phone; device: string }> {
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send, keyPool: keys });
  await phone.enrol(offer!.link);
  return { phone, device: offer!.device };
}

test('GetCACert is one DER certificate with the bare type, the one that opens requests, and not the CA that issues', async () => {
  const answer = await line.send('GET', `${plane.url}/scep?operation=GetCACert&message=any`);
  assert.equal(answer.status, 200);
  assert.equal(answer.type, 'application/x-x509-ca-cert', 'no charset: clients compare the whole value');
  const registration = new X509Certificate(answer.body);
  assert.equal(Buffer.compare(registration.raw, answer.body), 0, 'nothing beside the certificate');
  const ca = new X509Certificate(plane.ca.certificate.der);
  const spki = (one: X509Certificate) => one.publicKey.export({ type: 'spki', format: 'der' });
  assert.notDeepEqual(
    spki(registration),
    spki(ca),
    'whoever can have messages decrypted has not met the key that issues',
  );
  assert.equal(registration.publicKey.asymmetricKeyType, 'rsa', 'clients encrypt to it with RSA');
});

test('GetCACaps names POST and both digests, in plain text', async () => {
  const { type, body } = await line.send('GET', `${plane.url}/scep?operation=GetCACaps`);
  assert.equal(type.split(';')[0], 'text/plain');
  const caps = new Set(body.toString('utf8').split(/\r?\n/));
  for (const one of ['POSTPKIOperation', 'SHA-256', 'SHA-1', 'AES', 'DES3', 'SCEPStandard'])
    assert.ok(caps.has(one), one);
});

for (const alphabet of ['base64', 'base64url'] as const) {
  test(`a SCEP message in a GET's query, several kilobytes of ${alphabet}`, async () => {
    let longest = 0;
    const { phone } = await enrolled((method, url, message) => {
      if (method !== 'POST' || !url.includes('operation=PKIOperation')) return line.send(method, url, message);
      const long = `${url}&message=${encodeURIComponent(Buffer.from(message!.body!).toString(alphabet))}`;
      longest = long.length;
      return line.send('GET', long);
    });
    assert.ok(longest > 3_000, `${longest} characters`);
    assert.equal(phone.enrolled, true);
    assert.equal(await phone.poll(), 0);
  });
}

test('no command is 200 with Content-Length: 0 and no chunks, to Idle and to an answer, by PUT and by POST', async () => {
  for (const method of ['PUT', 'POST'] as const) {
    const seen: Record<string, unknown>[] = [];
    const { phone, device } = await enrolled(async (_, url, message) => {
      const answer = await line.send(_, url, message);
      if (answer.body.length === 0 && url.endsWith('/mdm')) seen.push(answer.headers);
      return answer;
    });
    (phone.options as { method: 'PUT' | 'POST' }).method = method;
    await phone.poll();
    await plane.order('SecurityInfo', [device]);
    await phone.poll();
    assert.equal(seen.length, 2);
    for (const headers of seen) {
      assert.equal(headers['content-length'], '0');
      assert.equal(headers['transfer-encoding'], undefined);
    }
  }
});

test('a stranger at any door of the device plane is never told 401, at which a phone would leave', async () => {
  const ask = (method: string, path: string, headers: Record<string, string>, body: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      const call = request(`${plane.url}${path}`, { method, headers }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode!));
      });
      call.on('error', reject);
      call.end(method === 'PUT' || method === 'POST' ? body : undefined);
    });
  const paths = [
    '/mdm',
    '/checkin',
    '/scep?operation=PKIOperation',
    '/enrol/unknown',
    '/crl',
    '/data/unknown',
    '/nothing',
  ];
  const signatures = ['', 'AAAA', Buffer.alloc(300, 0x30).toString('base64')];
  for (const path of paths)
    for (const method of ['GET', 'PUT', 'POST', 'DELETE'])
      for (const signature of signatures)
        for (const body of [Buffer.alloc(0), Buffer.from('<plist/>')]) {
          const headers = signature === '' ? {} : { 'mdm-signature': signature };
          assert.notEqual(await ask(method, path, headers, body), 401, `${method} ${path}`);
        }
});

test('phones with the same push token and magic live beside each other, and none is taken for the other', async () => {
  const [one, other] = [await enrolled(), await enrolled()];
  Object.assign(other.phone.state, { pushToken: one.phone.state.pushToken, pushMagic: one.phone.state.pushMagic });
  await other.phone.updateToken();
  const uuids = await plane.order('SecurityInfo', [one.device, other.device]);
  for (const { phone, device } of [one, other]) {
    assert.equal(await phone.poll(), 1);
    assert.equal(phone.state.executed[uuids.get(device)!]?.times, 1);
  }
});

test('who a certificate belongs to is looked up by an index, in the register as well', async () => {
  const rows = await plane.owner<{ table: string; unique: boolean }>(
    `select c.relname as table, i.indisunique as unique from pg_index i join pg_class c on c.oid = i.indrelid
     join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
     where n.nspname = 'fleet' and (c.relname, a.attname) in (('device', 'certificate_sha256'), ('certificate', 'sha256'))
     order by 1`,
    [],
  );
  assert.deepEqual(rows, [
    { table: 'certificate', unique: true },
    { table: 'device', unique: true },
  ]);
  const tokens = await plane.owner(
    `select from pg_index i join pg_class c on c.oid = i.indrelid join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
     where c.relname = 'device' and a.attname = 'push_token' and i.indisunique`,
    [],
  );
  assert.equal(tokens.length, 0, 'push tokens repeat');
});

test('a phone that never says CheckOut, sends no bootstrap token and knows no declarations is no problem', async () => {
  const { phone, device } = await enrolled();
  await plane.order('DeviceInformation', [device]);
  await phone.poll();
  await phone.poll();
  const seen = await getDevice(plane.console, device);
  assert.equal(seen.device.state, 'enrolled');
  const findings = await plane.owner(`select from log.event where device = $1 and kind = 'device.finding'`, [device]);
  assert.equal(findings.length, 0);
});

test('the certificate that a phone gets has the key that it made, 2048 bits because the profile says so', async () => {
  const { phone } = await enrolled();
  const certificate = new X509Certificate(Buffer.from(phone.state.identity!.certificate, 'base64'));
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
  const key = createPrivateKey({ key: Buffer.from(phone.state.identity!.key, 'base64'), format: 'der', type: 'pkcs8' });
  const own = createPublicKey(key);
  assert.deepEqual(
    certificate.publicKey.export({ type: 'spki', format: 'der' }),
    own.export({ type: 'spki', format: 'der' }),
  );
});
