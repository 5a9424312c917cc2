import { setTimeout as sleep } from 'node:timers/promises';
import { sha256, uuidv7 } from '#base';
import {
  type AcmeOrder,
  AcmeRefusal,
  acmeUrls,
  authorizationObject,
  type CertificateRequest,
  challengeObject,
  type OrderState,
  orderObject,
  parseCsr,
  readChallengeAnswer,
  readFinalize,
  readNewOrder,
  toPem,
} from '#wire';
import type { Account, Message, MessageDoors } from './acme-message.ts';
import type { Answer } from './answer.ts';

/** Core judges and signs; edge waits so long and then lets the client ask again. */
const WAIT_MS = 10_000;

export type Reply = Pick<Answer, 'status' | 'type' | 'body' | 'headers'>;

export const json = (status: number, value: unknown, headers: Record<string, string> = {}): Reply => ({
  status,
  type: 'application/json',
  body: Buffer.from(JSON.stringify(value)),
  headers,
});

/** The account behind a message; messages about orders are never signed by a bare key. */
export function accountIn({ account }: Message): Account {
  if (account === undefined) throw new AcmeRefusal('malformed', 'This message is signed for an account.');
  return account;
}

async function orderOf(doors: MessageDoors, id: string, account: Account): Promise<AcmeOrder> {
  const { rows } = await doors.pool.query<{
    id: string;
    state: OrderState;
    identifier: string;
    token: string;
    expires_at: Date;
    error: AcmeOrder['error'];
  }>('select * from edge.acme_order($1, $2)', [id, account.id]);
  const row = rows[0];
  // Another account's order looks like no order at all.
  if (row === undefined) throw new AcmeRefusal('malformed', 'There is no such order.', { status: 404 });
  return { ...row, expiresAt: row.expires_at };
}

/** `newOrder` (RFC 8555 section 7.4). */
export async function newOrder(doors: MessageDoors, message: Message): Promise<Reply> {
  const account = accountIn(message);
  const identifier = readNewOrder(message.payload);
  const { rows } = await doors.pool.query<{ id: string | null }>('select edge.acme_new_order($1, $2, $3) as id', [
    uuidv7(),
    account.id,
    identifier,
  ]);
  const id = rows[0]?.id ?? null;
  if (id === null) {
    throw new AcmeRefusal('rejectedIdentifier', 'The identifier is not one that was given out, or it was used before.');
  }
  const urls = acmeUrls(doors.base);
  return json(201, orderObject(await orderOf(doors, id, account), urls), { Location: urls.order(id) });
}

/** An order, its authorization or its challenge. A challenge that is posted with an object is thereby answered. */
export async function readOrder(
  doors: MessageDoors,
  message: Message,
  what: 'order' | 'authz' | 'challenge',
  id: string,
): Promise<Reply> {
  const account = accountIn(message);
  const urls = acmeUrls(doors.base);
  let order = await orderOf(doors, id, account);
  if (what === 'challenge') {
    if (message.payload !== undefined) order = await answerChallenge(doors, message, order, account);
    return json(200, challengeObject(order, urls), {
      Link: `<${urls.authorization(id)}>;rel="up"`,
      ...later(order),
    });
  }
  if (message.payload !== undefined) throw new AcmeRefusal('malformed', 'This resource is read with an empty payload.');
  const shown = what === 'order' ? orderObject(order, urls) : authorizationObject(order, urls);
  return json(200, shown, what === 'order' ? { Location: urls.order(id), ...later(order) } : later(order));
}

const later = ({ state }: AcmeOrder): Record<string, string> =>
  state === 'judging' || state === 'finalizing' ? { 'Retry-After': '1' } : {};

async function answerChallenge(
  doors: MessageDoors,
  { payload }: Message,
  order: AcmeOrder,
  account: Account,
): Promise<AcmeOrder> {
  const attestation = readChallengeAnswer(payload);
  if (order.state !== 'pending') return order;
  await doors.pool.query('select edge.acme_answer($1, $2, $3)', [order.id, account.id, attestation ?? null]);
  return waitWhile(doors, order.id, account, 'judging');
}

/** `finalize` (RFC 8555 section 7.4): the request's key must be the attested one. */
export async function finalize(doors: MessageDoors, message: Message, id: string): Promise<Reply> {
  const account = accountIn(message);
  const csr = readFinalize(message.payload);
  let request: CertificateRequest;
  try {
    request = parseCsr(csr);
  } catch (cause) {
    throw new AcmeRefusal('badCSR', 'The certificate request cannot be read, or its own key did not sign it.', {
      cause,
    });
  }
  await orderOf(doors, id, account);
  const { rows } = await doors.pool.query<{ verdict: string }>(
    'select edge.acme_finalize($1, $2, $3, $4, $5) as verdict',
    [...[id, account.id, uuidv7(), Buffer.from(csr), sha256(request.spki)]],
  );
  switch (rows[0]?.verdict) {
    case 'asked':
      break;
    case 'other-key':
      throw new AcmeRefusal('badCSR', 'The certificate request is for another key than the one that was attested.');
    case 'spent':
      throw new AcmeRefusal('unauthorized', 'The enrolment was withdrawn or used in another way.');
    default:
      throw new AcmeRefusal('orderNotReady', 'The order is not ready to be finalized.');
  }
  const order = await waitWhile(doors, id, account, 'finalizing');
  const urls = acmeUrls(doors.base);
  return json(200, orderObject(order, urls), { Location: urls.order(id), ...later(order) });
}

/** The one certificate, without its issuer: the device has no use for that (RFC 8555 section 7.4.2). */
export async function certificate(doors: MessageDoors, message: Message, id: string): Promise<Reply> {
  const account = accountIn(message);
  const { rows } = await doors.pool.query<{ der: Buffer | null }>('select edge.acme_certificate($1, $2) as der', [
    id,
    account.id,
  ]);
  const der = rows[0]?.der ?? null;
  if (der === null) throw new AcmeRefusal('malformed', 'There is no such certificate.', { status: 404 });
  return { status: 200, type: 'application/pem-certificate-chain', body: Buffer.from(toPem('CERTIFICATE', der)) };
}

async function waitWhile(doors: MessageDoors, id: string, account: Account, state: OrderState): Promise<AcmeOrder> {
  let order = await orderOf(doors, id, account);
  for (
    let waited = 0, step = 10;
    order.state === state && waited < WAIT_MS;
    waited += step, step = Math.min(step * 2, 160)
  ) {
    await sleep(step);
    order = await orderOf(doors, id, account);
  }
  return order;
}
