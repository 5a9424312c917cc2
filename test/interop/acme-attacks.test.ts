import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  AcmeClient,
  AcmeRefused,
  type Answer,
  AttestationServer,
  attestationObject,
  ecRequest,
  openLine,
  readEnrolmentProfile,
} from '#sim';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const apple = new AttestationServer();
const line = openLine();
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane({}, { roots: [apple.rootPem] });
});
after(async () => {
  line.close();
  await plane?.close();
});

const at = (path: string) => `${plane.url}/acme/${path}`;
const b64 = (value: unknown) =>
  (value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(JSON.stringify(value))).toString('base64url');
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;

async function client(): Promise<AcmeClient> {
  const made = new AcmeClient(line.send);
  await made.enter(at('directory'));
  return made;
}

async function identifierOf(identity: 'acme' | 'acme-attested'): Promise<string> {
  const [offer] = await plane.offer(1, identity);
  const profile = readEnrolmentProfile((await line.send('GET', offer!.link)).body);
  assert.ok(profile.identity.kind === 'acme');
  return profile.identity.clientIdentifier;
}

const answerFor = (key: ReturnType<typeof newKey>, token: string) =>
  b64(attestationObject(apple.attest(key, { serial: 'S1', udid: 'U1', osVersion: '26.1', token })));

const refusedAs = (type: string, why?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AcmeRefused, String(error));
  assert.equal(error.type, type, error.message);
  if (why !== undefined) assert.match(error.message, why);
  return true;
};

function isProblem(answer: Answer, status: number, type: string): void {
  assert.equal(answer.status, status);
  assert.equal(answer.type, 'application/problem+json');
  assert.equal((JSON.parse(answer.body.toString()) as { type: string }).type, `urn:ietf:params:acme:error:${type}`);
  if (status !== 413) assert.match(String(answer.headers['replay-nonce']), /^[A-Za-z0-9_-]{51}$/);
}

const raw = (url: string, body: string | Uint8Array, type = 'application/jose+json') =>
  line.send('POST', url, { body: Buffer.from(body), headers: { 'content-type': type } });

test('a nonce serves once, only if it is ours; the one that was refused brings a new one', async () => {
  const one = await client();
  const nonce = await one.freshNonce();
  await one.post(one.kid!, undefined, { nonce });
  await assert.rejects(one.post(one.kid!, undefined, { nonce }), refusedAs('badNonce', /used before/));
  const forged = `${nonce.slice(0, -2)}AA`;
  for (const other of [forged, '', 'x'.repeat(51)])
    await assert.rejects(one.post(one.kid!, undefined, { nonce: other }), refusedAs('badNonce', /not one of ours/));
});

test('a hundred at once with one nonce: one gets through', async () => {
  const one = await client();
  const nonce = await one.freshNonce();
  const all = await Promise.allSettled(Array.from({ length: 100 }, () => one.post(one.kid!, undefined, { nonce })));
  assert.equal(all.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('algorithms that are none, symmetric or of another key are refused before anything is believed', async () => {
  const one = await client();
  const head = async (alg: string) => b64({ alg, kid: one.kid, nonce: await one.freshNonce(), url: one.kid });
  const none = await head('none');
  isProblem(
    await raw(one.kid!, JSON.stringify({ protected: none, payload: '', signature: '' })),
    400,
    'badSignatureAlgorithm',
  );
  const hs = await head('HS256');
  // The public key as a shared secret: the classic confusion.
  const secret = one.key.publicKey.export({ type: 'spki', format: 'pem' });
  const mac = createHmac('sha256', secret).update(`${hs}.`).digest('base64url');
  isProblem(
    await raw(one.kid!, JSON.stringify({ protected: hs, payload: '', signature: mac })),
    400,
    'badSignatureAlgorithm',
  );
  for (const alg of ['ES384', 'RS256', 'EdDSA'])
    await assert.rejects(one.post(one.kid!, undefined, { alg }), refusedAs('malformed', /signature does not hold/));
  for (const alg of ['toString', '__proto__', 7])
    await assert.rejects(one.post(one.kid!, undefined, { alg }), refusedAs('badSignatureAlgorithm'));
});

test('messages of a wrong form are refused: address, account, key by value and by account, extensions, unsigned headers', async () => {
  const one = await client();
  const two = await client();
  await assert.rejects(one.post(one.kid!, undefined, { url: two.kid }), refusedAs('unauthorized', /another address/));
  await assert.rejects(
    one.post(one.kid!, undefined, { kid: two.kid }),
    refusedAs('malformed', /signature does not hold/),
  );
  await assert.rejects(one.post(two.kid!, undefined), refusedAs('unauthorized', /another account/));
  await assert.rejects(
    one.post(one.kid!, undefined, { kid: `${at('account')}/00000000-0000-7000-8000-000000000000` }),
    refusedAs('accountDoesNotExist'),
  );
  const { kty, crv, x, y } = one.key.publicKey.export({ format: 'jwk' });
  await assert.rejects(
    one.post(one.kid!, undefined, { jwk: { kty, crv, x, y } }),
    refusedAs('malformed', /either a key or an account/),
  );
  await assert.rejects(
    one.post(one.kid!, undefined, { crit: ['b64'], b64: false }),
    refusedAs('malformed', /extension/),
  );
  await assert.rejects(
    one.post(at('new-account'), {}, { kid: undefined, jwk: { kty: 'oct', k: 'AAAA' } }),
    refusedAs('badPublicKey'),
  );
  await assert.rejects(
    one.post(at('new-order'), { identifiers: [] }, { kid: undefined, jwk: { kty, crv, x, y } }),
    refusedAs('malformed', /for an account/),
  );
  const header = b64({ alg: 'ES256', kid: one.kid, nonce: await one.freshNonce(), url: one.kid });
  const signature = sign('sha256', Buffer.from(`${header}.`), {
    key: one.key.privateKey,
    dsaEncoding: 'ieee-p1363',
  }).toString('base64url');
  const message = { protected: header, payload: '', signature };
  isProblem(await raw(one.kid!, JSON.stringify({ ...message, header: { kid: two.kid } })), 400, 'malformed');
  isProblem(await raw(one.kid!, JSON.stringify(message), 'application/json'), 415, 'malformed');
  isProblem(await raw(one.kid!, 'no json'), 400, 'malformed');
  isProblem(await line.send('GET', one.kid!), 405, 'malformed');
  isProblem(await raw(at('nothing'), JSON.stringify(message)), 404, 'malformed');
  isProblem(await raw(one.kid!, Buffer.alloc(80 * 1024 + 1, 0x20)), 413, 'malformed');
  assert.equal((await raw(one.kid!, JSON.stringify(message))).status, 200, 'the honest message still gets through');
});

test('an order belongs to one account; its identifier serves once', async () => {
  const identifier = await identifierOf('acme');
  const [one, two] = [await client(), await client()];
  const { url, order, challenge } = await one.order(identifier);
  await assert.rejects(two.order(identifier), refusedAs('rejectedIdentifier'));
  for (const other of [url, order.authorizations[0]!, challenge.url])
    await assert.rejects(two.post(other, undefined), refusedAs('malformed', /no such order/));
  await assert.rejects(two.post(challenge.url, {}), refusedAs('malformed', /no such order/));
  await assert.rejects(
    two.post(order.finalize, { csr: b64(ecRequest(newKey(), [])) }),
    refusedAs('malformed', /no such order/),
  );
  assert.equal((await one.order(identifier)).url, url, 'asked again, the same order');
  await assert.rejects(one.order('a guess'), refusedAs('rejectedIdentifier'));
  const dns = { identifiers: [{ type: 'dns', value: 'example.org' }] };
  await assert.rejects(one.post(at('new-order'), dns), refusedAs('unsupportedIdentifier'));
  const both = { identifiers: [1, 2].map(() => ({ type: 'permanent-identifier', value: identifier })) };
  await assert.rejects(one.post(at('new-order'), both), refusedAs('rejectedIdentifier', /exactly one/));
});

test('finalize: not before the challenge, only for the attested key, only once', async () => {
  const one = await client();
  const key = newKey();
  const ordered = await one.order(await identifierOf('acme-attested'));
  const csr = (of: ReturnType<typeof newKey>) => ({ csr: b64(ecRequest(of, [[['CN', 'x']]])) });
  await assert.rejects(one.post(ordered.order.finalize, csr(key)), refusedAs('orderNotReady'));
  await one.post(ordered.challenge.url, { attObj: answerFor(key, ordered.challenge.token) });
  await one.until(ordered.url, ['pending']);
  await assert.rejects(one.post(ordered.order.finalize, csr(newKey())), refusedAs('badCSR', /another key/));
  const spoilt = ecRequest(key, [[['CN', 'x']]]);
  spoilt[spoilt.length - 1]! ^= 1;
  await assert.rejects(one.post(ordered.order.finalize, { csr: b64(spoilt) }), refusedAs('badCSR'));
  const twice = await Promise.allSettled([1, 2, 3].map(() => one.post(ordered.order.finalize, csr(key))));
  assert.equal(twice.filter(({ status }) => status === 'fulfilled').length, 1);
  await one.until(ordered.url, ['processing']);
  await assert.rejects(one.post(ordered.order.finalize, csr(key)), refusedAs('orderNotReady'));
  const { rows } = await plane.core.query<{ n: number }>(
    'select count(*)::int as n from fleet.certificate_request where order_id = $1',
    [ordered.url.split('/').at(-1)],
  );
  assert.equal(rows[0]?.n, 1);
});

test('an attestation, or its key, serves no second order; bombs are refused', async () => {
  const one = await client();
  const key = newKey();
  const judged = async (attObj: (token: string) => string): Promise<string> => {
    const ordered = await one.order(await identifierOf('acme-attested'));
    await one.post(ordered.challenge.url, { attObj: attObj(ordered.challenge.token) });
    const order = await one.until<{ status: string; error?: { type: string; detail: string } }>(ordered.url, [
      'pending',
    ]);
    return order.error === undefined ? order.status : `${order.error.type.split(':').at(-1)}: ${order.error.detail}`;
  };
  let kept = '';
  assert.equal(await judged((token) => (kept = answerFor(key, token))), 'ready');
  assert.match(await judged(() => kept), /badAttestationStatement: .*does not answer this challenge/);
  assert.match(await judged((token) => answerFor(key, token)), /badAttestationStatement: .*used before/);
  for (const [bomb, why] of [
    [Buffer.alloc(5_000, 0x81), /nested too deeply/],
    [Buffer.from('9bffffffffffffffff', 'hex'), /promises more/],
    [Buffer.from('bf', 'hex'), /indefinite/],
    [Buffer.from('a0', 'hex'), /format/],
  ] as const)
    assert.match(await judged(() => b64(bomb)), why);
  const ordered = await one.order(await identifierOf('acme-attested'));
  await assert.rejects(
    one.post(ordered.challenge.url, { attObj: b64(Buffer.alloc(49 * 1024)) }),
    refusedAs('malformed', /too long/),
  );
});

test('a closed account does nothing more; contacts are not kept', async () => {
  const one = await client();
  await one.post(one.kid!, { status: 'deactivated' });
  await assert.rejects(one.post(one.kid!, undefined), refusedAs('unauthorized', /closed/));
  const rows = await plane.owner<{ column_name: string }>(
    `select column_name from information_schema.columns where table_schema = 'fleet' and table_name = 'acme_account'`,
    [],
  );
  assert.deepEqual(rows.map((row) => row.column_name).sort(), ['created_at', 'id', 'jwk', 'state', 'thumbprint']);
});

test('all of this was counted, and nothing of it failed on our side', async () => {
  const counted = await plane.counted();
  assert.ok(counted['acme']! > 120, String(counted['acme']));
  assert.ok(counted['too-large']! >= 1);
  assert.deepEqual(plane.problems, []);
});
