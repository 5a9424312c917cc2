import { uuidv7 } from '#base';
import { AcmeRefusal, acmeProblem, acmeUrls, directory, nonceKey, WireError } from '#wire';
import { keyChange, revokeCertificate } from './acme-account.ts';
import { freshNonce, type Message, type MessageDoors, readMessage, UUID } from './acme-message.ts';
import { accountIn, certificate, finalize, json, newOrder, type Reply, readOrder } from './acme-order.ts';
import type { Answer } from './answer.ts';
import type { DeviceDoors } from './device.ts';
import type { EnrolDoors } from './enrol.ts';

export const ACME_LIMIT = 80 * 1024;

export interface AcmeRequest {
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
}

/** The path of an ACME resource below `/acme`: name, identifier, part. */
const RESOURCE = /^\/acme\/([a-z-]+)(?:\/([0-9a-f-]{36})(?:\/([a-z]+))?)?$/;

export const isAcme = (path: string): boolean => RESOURCE.test(path);

const keys = new WeakMap<object, Uint8Array>();

/**
 * `/acme/…` (RFC 8555): a certificate for one device, by the one-time identifier of its profile. Every answer to a POST
 * carries a new nonce; every refusal is a problem document and is counted.
 */
export async function acme(doors: EnrolDoors & DeviceDoors, request: AcmeRequest): Promise<Answer> {
  let key = keys.get(doors.identity);
  if (key === undefined) {
    key = nonceKey(doors.identity.registration.key);
    keys.set(doors.identity, key);
  }
  const given: MessageDoors = { pool: doors.pool, clock: doors.clock, nonceKey: key, base: `${doors.origin}/acme` };
  let reply: Reply;
  try {
    reply = await serve(given, request);
  } catch (error) {
    reply = explain(doors, error);
  }
  const index = { Link: `<${acmeUrls(given.base).directory}>;rel="index"` };
  const own = reply.headers ?? {};
  const Link = own['Link'] === undefined ? index.Link : `${own['Link']}, ${index.Link}`;
  return { ...reply, headers: { ...own, 'Replay-Nonce': freshNonce(given), Link } };
}

/** A body over the limit is not read, so its signature and nonce are worth nothing. */
export const acmeTooLarge: Answer = {
  ...json(413, acmeProblem(new AcmeRefusal('malformed', 'The message is too long.', { status: 413 }))),
  type: 'application/problem+json',
};

function explain(doors: DeviceDoors, error: unknown): Reply {
  let refusal: AcmeRefusal;
  if (error instanceof AcmeRefusal) refusal = error;
  else if (error instanceof WireError) refusal = new AcmeRefusal('malformed', error.message);
  else {
    doors.log.error('an ACME request failed', error);
    refusal = new AcmeRefusal('serverInternal', 'Try again in a moment.', { status: 503 });
  }
  if (refusal.type !== 'serverInternal') {
    doors.refusals.count(refusal.type === 'badAttestationStatement' ? 'attestation' : 'acme');
  }
  const reply = json(refusal.status, acmeProblem(refusal));
  return { ...reply, type: 'application/problem+json' };
}

async function serve(doors: MessageDoors, { method, path, contentType, body }: AcmeRequest): Promise<Reply> {
  const [, name, id, part] = RESOURCE.exec(path) ?? [];
  if (path === '/acme/directory' && method !== 'POST') return json(200, directory(doors.base));
  if (path === '/acme/new-nonce' && method !== 'POST') return { status: method === 'HEAD' ? 200 : 204 };
  // Everything else is signed (RFC 8555 section 6.3).
  if (method !== 'POST') throw new AcmeRefusal('malformed', 'This resource is read with POST.', { status: 405 });
  if (contentType?.split(';')[0]?.trim().toLowerCase() !== 'application/jose+json') {
    throw new AcmeRefusal('malformed', 'Send application/jose+json.', { status: 415 });
  }
  const handle = handlerOf(doors, name ?? '', id, part);
  if (handle === undefined) throw new AcmeRefusal('malformed', 'There is nothing here.', { status: 404 });
  return handle(await readMessage(doors, `${doors.base}${path.slice('/acme'.length)}`, body));
}

function handlerOf(
  doors: MessageDoors,
  name: string,
  id: string | undefined,
  part: string | undefined,
): ((message: Message) => Promise<Reply>) | undefined {
  if (id === undefined) {
    if (name === 'new-account') return (message) => newAccount(doors, message);
    if (name === 'new-order') return (message) => newOrder(doors, message);
    if (name === 'key-change') return (message) => keyChange(doors, message);
    if (name === 'revoke-cert') return (message) => revokeCertificate(doors, message);
    return undefined;
  }
  if (!UUID.test(id)) return undefined;
  if (name === 'account' && (part === undefined || part === 'orders')) {
    return (message) => account(doors, message, id, part === 'orders');
  }
  if (name === 'order' && part === 'finalize') return (message) => finalize(doors, message, id);
  if (part !== undefined) return undefined;
  if (name === 'certificate') return (message) => certificate(doors, message, id);
  if (name === 'order' || name === 'authz' || name === 'challenge')
    return (message) => readOrder(doors, message, name, id);
  return undefined;
}

/** `newAccount` (RFC 8555 section 7.3). Contacts are not kept: they would name a person. */
async function newAccount(doors: MessageDoors, { payload, bare }: Message): Promise<Reply> {
  if (bare === undefined || payload === undefined) {
    throw new AcmeRefusal('malformed', 'A new account is asked for with its own key.');
  }
  const { rows } = await doors.pool.query<{ id: string | null; state: string; made: boolean }>(
    'select * from edge.acme_enter($1, $2, $3, $4)',
    [uuidv7(), bare.thumbprint, JSON.stringify(bare.jwk), payload['onlyReturnExisting'] === true],
  );
  const row = rows[0];
  if (row === undefined) throw new AcmeRefusal('accountDoesNotExist', 'There is no account with this key.');
  if (row.id === null) throw new AcmeRefusal('rateLimited', 'Too many new accounts. Try again later.');
  if (row.state !== 'valid') throw new AcmeRefusal('unauthorized', 'The account is closed.');
  return shownAccount(doors, row.id, row.made ? 201 : 200, 'valid');
}

function shownAccount(doors: MessageDoors, id: string, status: number, state: string): Reply {
  const urls = acmeUrls(doors.base);
  return json(status, { status: state, orders: urls.orders(id) }, { Location: urls.account(id) });
}

/** An account of the asker's own: read, closed (RFC 8555 section 7.3.6), or its orders listed. */
async function account(doors: MessageDoors, message: Message, id: string, orders: boolean): Promise<Reply> {
  if (accountIn(message).id !== id) throw new AcmeRefusal('unauthorized', 'This is another account.');
  if (orders) {
    const { rows } = await doors.pool.query<{ id: string }>('select acme_orders as id from edge.acme_orders($1)', [id]);
    return json(200, { orders: rows.map((row) => acmeUrls(doors.base).order(row.id)) });
  }
  const wanted = message.payload?.['status'];
  if (wanted !== undefined && wanted !== 'deactivated') {
    throw new AcmeRefusal('malformed', 'An account can only be closed.');
  }
  if (wanted === 'deactivated') await doors.pool.query('select edge.acme_deactivate($1)', [id]);
  return shownAccount(doors, id, 200, wanted === 'deactivated' ? 'deactivated' : 'valid');
}
