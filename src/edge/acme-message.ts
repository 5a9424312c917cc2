import type { Clock } from '#base';
import type { Pool } from '#store';
import { type AccountKey, AcmeRefusal, type Jws, makeNonce, parseJws, readJwk, readNonce, signedBy } from '#wire';

/** What a message is checked with. */
export interface MessageDoors {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly nonceKey: Uint8Array;
  /** Of the ACME resources, without a slash at the end. */
  readonly base: string;
}

export interface Account {
  readonly id: string;
  readonly key: AccountKey;
}

/** A message that was believed: signed by an account, or by a key that has none yet. */
export interface Message {
  readonly payload: Jws['payload'];
  readonly account: Account | undefined;
  /** The key that signed, where the message brought it along. */
  readonly bare: AccountKey | undefined;
}

export const freshNonce = ({ nonceKey, clock }: MessageDoors): string => makeNonce(nonceKey, clock());

/**
 * Believes a message only if it was signed for this very URL, by the key it names, with a nonce of ours that nobody used
 * before (RFC 8555 sections 6.2 to 6.5). The nonce is spent last: a stranger's noise writes nothing. Throws AcmeRefusal.
 */
export async function readMessage(doors: MessageDoors, url: string, body: Uint8Array): Promise<Message> {
  const jws = parseJws(body);
  if (jws.url !== url) throw new AcmeRefusal('unauthorized', 'The message was signed for another address.');
  const nonce = jws.nonce === undefined ? undefined : readNonce(doors.nonceKey, jws.nonce, doors.clock());
  if (nonce === undefined) throw new AcmeRefusal('badNonce', 'The nonce is not one of ours, or too old.');
  const account = jws.kid === undefined ? undefined : await accountOf(doors, jws.kid);
  const key = account?.key ?? readJwk(jws.jwk);
  if (!signedBy(jws, key.key)) throw new AcmeRefusal('malformed', 'The signature does not hold.');
  const { rows } = await doors.pool.query<{ first: boolean }>('select edge.acme_spend($1) as first', [nonce]);
  if (rows[0]?.first !== true) throw new AcmeRefusal('badNonce', 'The nonce was used before.');
  return { payload: jws.payload, account, bare: account === undefined ? key : undefined };
}

async function accountOf(doors: MessageDoors, kid: string): Promise<Account> {
  const prefix = `${doors.base}/account/`;
  const id = kid.startsWith(prefix) ? kid.slice(prefix.length) : '';
  const unknown = () => new AcmeRefusal('accountDoesNotExist', 'There is no such account.');
  if (!UUID.test(id)) throw unknown();
  const { rows } = await doors.pool.query<{ jwk: unknown; state: string }>('select * from edge.acme_account($1)', [id]);
  if (rows[0] === undefined) throw unknown();
  if (rows[0].state !== 'valid') throw new AcmeRefusal('unauthorized', 'The account is closed.');
  return { id, key: readJwk(rows[0].jwk) };
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
