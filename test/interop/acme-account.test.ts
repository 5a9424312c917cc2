import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { renewCertificates } from '#fleet';
import { AcmeClient, AcmeRefused, ecRequest, newPhone, openLine, Phone, readEnrolmentProfile } from '#sim';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// What an ACME client may do with its account's key and its certificate, and what it may not do with another's.
const line = openLine();
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
});
after(async () => {
  line.close();
  await plane?.close();
});

const at = (path: string) => `${plane.url}/acme/${path}`;
const b64 = (value: Uint8Array | object) =>
  (value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(JSON.stringify(value))).toString('base64url');
const refusedAs = (type: string, status?: number) => (error: unknown) => {
  assert.ok(error instanceof AcmeRefused, String(error));
  assert.equal(error.type, type, error.message);
  if (status !== undefined) assert.equal(error.status, status);
  return true;
};

async function client(): Promise<AcmeClient> {
  const made = new AcmeClient(line.send);
  await made.enter(at('directory'));
  return made;
}

/** A client with a certificate for a device of its own. */
async function certified() {
  const acme = await client();
  const [offer] = await plane.offer(1, 'acme');
  const { identity } = readEnrolmentProfile((await line.send('GET', offer!.link)).body);
  assert.ok(identity.kind === 'acme');
  const order = await acme.order(identity.clientIdentifier);
  await acme.post(order.challenge.url, {});
  const key = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  const der = await acme.finish(order, ecRequest(key, []));
  return { acme, key, der, handle: offer!.device };
}

const jwkOf = (key: KeyObject) => {
  const { crv, kty, x, y } = key.export({ format: 'jwk' }) as Record<string, string>;
  return { crv, kty, x, y };
};

/** The new key's own message inside a keyChange; `change` is what an attacker writes otherwise. */
function inner(
  acme: AcmeClient,
  next: KeyObject,
  change: { header?: object; payload?: object; signer?: KeyObject } = {},
): object {
  const head = b64({ alg: 'ES256', jwk: jwkOf(next), url: at('key-change'), ...change.header });
  const body = b64({ account: acme.kid, oldKey: jwkOf(acme.key.publicKey), ...change.payload });
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), {
    key: change.signer ?? next,
    dsaEncoding: 'ieee-p1363',
  });
  return { protected: head, payload: body, signature: b64(signature) };
}

test('a new key is the account’s from one message to the next; every way of putting somebody else’s there is refused', async () => {
  const acme = await client();
  const other = await client();
  const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const url = at('key-change');
  const bad: [string, object][] = [
    ['signed by another key', inner(acme, next.privateKey, { signer: other.key.privateKey })],
    ['for another address', inner(acme, next.privateKey, { header: { url: at('new-order') } })],
    ['with a nonce', inner(acme, next.privateKey, { header: { nonce: 'AAAA' } })],
    ['another account', inner(acme, next.privateKey, { payload: { account: other.kid } })],
    ['another old key', inner(acme, next.privateKey, { payload: { oldKey: jwkOf(other.key.publicKey) } })],
    ['no message', {}],
    ['by account', inner(acme, next.privateKey, { header: { jwk: undefined, kid: acme.kid } })],
  ];
  for (const [what, payload] of bad) await assert.rejects(acme.post(url, payload), refusedAs('malformed', 400), what);
  // Another account's message does not change this one's key, whatever it names.
  await assert.rejects(other.post(url, inner(acme, next.privateKey)), refusedAs('malformed'));
  await assert.rejects(acme.post(url, inner(acme, other.key.privateKey)), refusedAs('malformed', 409), 'a key in use');
  await acme.post(url, inner(acme, next.privateKey));
  await assert.rejects(acme.post(acme.kid!, undefined), refusedAs('malformed', 400), 'the old key signs nothing more');
  Object.assign(acme, { key: next });
  assert.equal((await acme.post(acme.kid!, undefined)).status, 200);
});

test('only the account that ordered it, or its own key, revokes a certificate; once; and for a reason that is taken', async () => {
  const mine = await certified();
  const stranger = await certified();
  const url = at('revoke-cert');
  const certificate = b64(mine.der);
  await assert.rejects(stranger.acme.post(url, { certificate }), refusedAs('unauthorized', 403));
  await assert.rejects(stranger.acme.post(url, { certificate: b64(Buffer.alloc(64, 1)) }), refusedAs('unauthorized'));
  const bare = new AcmeClient(line.send);
  await bare.enter(at('directory'));
  bare.kid = undefined;
  await assert.rejects(
    bare.post(url, { certificate }),
    refusedAs('unauthorized'),
    'a key that is not the certificate’s',
  );
  await assert.rejects(mine.acme.post(url, { certificate, reason: 6 }), refusedAs('badRevocationReason'));
  await assert.rejects(mine.acme.post(url, {}), refusedAs('malformed'));
  const standing = await plane.owner('select from fleet.certificate where revoked_at is not null', []);
  assert.deepEqual(standing, [], 'nothing of that revoked anything');
  await mine.acme.post(url, { certificate, reason: 5 });
  await assert.rejects(mine.acme.post(url, { certificate }), refusedAs('alreadyRevoked'));
  const rows = await plane.owner<{ handle: string; state: string; reason: string | null }>(
    `select d.handle, d.state, c.reason from fleet.certificate c join fleet.device d on d.id = c.device_id order by d.id`,
    [],
  );
  assert.deepEqual(rows, [
    { handle: mine.handle, state: 'checked_out', reason: 'cessationOfOperation' },
    { handle: stranger.handle, state: 'certified', reason: null },
  ]);
});

test('a renewed certificate that is revoked before it is used takes nothing away: the old one goes on, the next attempt starts', async () => {
  const [offer] = await plane.offer(1, 'acme');
  const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send });
  await phone.enrol(offer!.link);
  await plane.asOwner(`update fleet.device set certificate_not_after = now() + interval '40 days' where handle = $1`, [
    offer!.device,
  ]);
  const now = Date.now() + 1_000;
  const round = (at: number) =>
    renewCertificates(plane.core, {
      ...{ signKey: plane.signKey, origin: plane.url, organisation: 'Example Agency', days: 90, now: at },
    });
  await round(now);
  // The phone gets its certificate and loses the connection before it uses it.
  const own = phone.state.identity!;
  const options = phone.options as { send: Phone['options']['send'] };
  options.send = async (method, url, message) => {
    if (!url.includes('/acme') && phone.state.identity !== own) throw new Error('no connection');
    return line.send(method, url, message);
  };
  await phone.poll().catch(() => {});
  const fresh = phone.state.identity!;
  assert.notEqual(fresh, own);
  const sha = (
    await plane.owner<{ sha256: Buffer }>('select sha256($1::bytea) as sha256', [
      Buffer.from(fresh.certificate, 'base64'),
    ])
  )[0]!.sha256;
  const revoked = await plane.owner<{ verdict: string }>(
    `select edge.acme_revoke($1, null, 'keyCompromise') as verdict`,
    [sha],
  );
  assert.deepEqual(revoked, [{ verdict: 'revoked' }]);
  options.send = line.send;
  await assert.rejects(phone.poll(), { status: 400 }, 'the revoked one is never taken up');
  phone.state.identity = own;
  await round(now + 5_000);
  assert.equal(await phone.poll(), 1);
  const [row] = await plane.owner<{ state: string; good: number }>(
    `select r.state, (select count(*)::int from fleet.certificate c where c.device_id = d.id and c.revoked_at is null) as good
     from fleet.renewal r join fleet.device d on d.id = r.device_id where d.handle = $1`,
    [offer!.device],
  );
  assert.deepEqual(row, { state: 'done', good: 1 });
});
