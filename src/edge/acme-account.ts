import { sha256 } from '#base';
import {
  AcmeRefusal,
  acmeProblem,
  acmeUrls,
  type Certificate,
  parseCertificate,
  readKeyChange,
  readRevocation,
} from '#wire';
import type { Message, MessageDoors } from './acme-message.ts';
import { accountIn, json, type Reply } from './acme-order.ts';

/** `keyChange` (RFC 8555 section 7.3.5): from here on the account's messages are signed by the new key, and by no other. */
export async function keyChange(doors: MessageDoors, message: Message): Promise<Reply> {
  const account = accountIn(message);
  const urls = acmeUrls(doors.base);
  const key = readKeyChange(message.payload, {
    ...{ url: urls.keyChange, account: urls.account(account.id), old: account.key },
  });
  const { rows } = await doors.pool.query<{ verdict: string }>(
    'select edge.acme_change_key($1, $2, $3, $4) as verdict',
    [...[account.id, account.key.thumbprint, key.thumbprint, JSON.stringify(key.jwk)]],
  );
  const verdict = rows[0]!.verdict;
  if (verdict === 'changed') return json(200, { status: 'valid', orders: urls.orders(account.id) });
  if (verdict === 'stale') throw new AcmeRefusal('unauthorized', 'The account has another key by now.');
  const taken = new AcmeRefusal('malformed', 'The new key is an account’s already.', { status: 409 });
  return {
    ...json(409, acmeProblem(taken), { Location: urls.account(verdict) }),
    type: 'application/problem+json',
  };
}

/**
 * `revokeCert` (RFC 8555 section 7.6), by the account that ordered the certificate or by the certificate's own key. Whether there
 * is such a certificate is nobody else's to know.
 */
export async function revokeCertificate(doors: MessageDoors, message: Message): Promise<Reply> {
  const { der, reason } = readRevocation(message.payload);
  const { account, bare } = message;
  const notYours = () => new AcmeRefusal('unauthorized', 'The certificate is not this signer’s to revoke.');
  if (account === undefined) {
    let certificate: Certificate;
    try {
      certificate = parseCertificate(der);
    } catch (cause) {
      throw new AcmeRefusal('malformed', 'The certificate cannot be read.', { cause });
    }
    const own = bare!.key.export({ type: 'spki', format: 'der' });
    if (!sha256(certificate.spki).equals(sha256(own))) throw notYours();
  }
  const { rows } = await doors.pool.query<{ verdict: string }>('select edge.acme_revoke($1, $2, $3) as verdict', [
    ...[sha256(der), account?.id ?? null, reason],
  ]);
  switch (rows[0]!.verdict) {
    case 'revoked':
      return { status: 200 };
    case 'already':
      throw new AcmeRefusal('alreadyRevoked', 'The certificate is revoked already.');
    default:
      throw notYours();
  }
}
