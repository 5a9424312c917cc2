import { createHmac, createPrivateKey, sign } from 'node:crypto';

// PKCS #8 up to a raw Ed25519 seed, RFC 8410 section 7.
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Standard Webhooks 1.0: a signature for each secret over `id.timestamp.body`, apart by spaces, so that secrets can be changed
 * with both in force. `timestamp`: seconds.
 */
export function signatures(secrets: readonly string[], id: string, timestamp: number, body: string): string {
  const signed = Buffer.from(`${id}.${timestamp}.${body}`);
  return secrets
    .map((secret) => {
      const [kind, text] = secret.split('_') as [string, string];
      const bytes = Buffer.from(text, 'base64');
      if (kind === 'whsec') return `v1,${createHmac('sha256', bytes).update(signed).digest('base64')}`;
      // Libraries keep the private key as seed ‖ public key.
      const key = createPrivateKey({
        key: Buffer.concat([PKCS8, bytes.subarray(0, 32)]),
        format: 'der',
        type: 'pkcs8',
      });
      return `v1a,${sign(null, signed, key).toString('base64')}`;
    })
    .join(' ');
}
