import { createHash } from 'node:crypto';
import {
  certsOnly,
  decryptEnvelope,
  encryptEnvelope,
  parseSigned,
  readCertificates,
  signCms,
  verifyMdmSignature,
  verifySigned,
} from '#wire';
import type { Dice } from './dice.ts';
import { BODY, type Identity, seeds } from './seeds.ts';
import { Broken, type Target } from './target.ts';
import { DER_WORDS } from './words.ts';

const CIPHERS = ['2.16.840.1.101.3.4.1.2', '2.16.840.1.101.3.4.1.42', '1.2.840.113549.3.7', '1.3.14.3.2.7'];

function signedSeeds(): Buffer[] {
  const { rsa, ec, ca, openssl } = seeds();
  const sign = (who: Identity, more: object = {}) =>
    signCms({ content: BODY, certificate: who.certificate, key: who.key, ...more });
  const foreign = (...args: string[]) => openssl('cms', '-sign', '-binary', '-in', 'body', '-outform', 'DER', ...args);
  return [
    ...[sign(rsa), sign(ec), sign(rsa, { detached: true, digest: 'sha1' }), sign(ec, { chain: [ca.certificate] })],
    ...[foreign('-signer', 'rsa.pem'), foreign('-signer', 'ec.pem', '-nodetach', '-stream')],
    ...[
      foreign('-signer', 'rsa.pem', '-noattr', '-md', 'sha1'),
      foreign('-signer', 'ec.pem', '-nosmimecap', '-md', 'sha512'),
    ],
    // more than we take: two signers, a signer by key identifier
    ...[foreign('-signer', 'rsa.pem', '-signer', 'ec.pem'), foreign('-signer', 'rsa.pem', '-keyid')],
  ];
}

/** Signed messages: whoever comes out as the signer must be one of ours, and the content must be what was signed. */
export function signedTarget(): Target {
  const { rsa, ec, ca } = seeds();
  return {
    ...{ name: 'cms-signed', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [...signedSeeds(), certsOnly([rsa.certificate, ca.certificate])],
    parse: (input) => {
      const certificates = readCertificates(input).length;
      const message = parseSigned(input);
      const signer = verifySigned(message, message.content ?? BODY, { allowLegacyDigest: true });
      const known = [rsa, ec].find((one) => signer.sha256.equals(one.certificate.sha256));
      if (known !== undefined && message.content !== undefined && !message.content.equals(BODY))
        throw new Broken('a changed content passes as signed');
      return `${certificates} ${message.content === undefined} ${message.attributes.size} ${known !== undefined}`;
    },
  };
}

/** The Mdm-Signature header: base64 of a signed message over the request's body. */
export function mdmSignatureTarget(): Target {
  const { rsa, ec } = seeds();
  const base64 = signedSeeds().map((one) => Buffer.from(one.toString('base64')));
  return {
    ...{ name: 'mdm-signature', form: 'der', maxBytes: 16 * 1024 },
    words: [...DER_WORDS, ...['=', '==', ' ', '\r\n', '+', '/', '-', '_', 'MI', '%'].map((text) => Buffer.from(text))],
    seeds: base64,
    make: (dice, change) => {
      const inside = change(Buffer.from(dice.pick(base64).toString('latin1'), 'base64'));
      return Buffer.from(inside.toString('base64'));
    },
    parse: (input) => {
      const signer = verifyMdmSignature(input.toString('latin1'), BODY, { allowLegacyDigest: true });
      for (const one of [rsa, ec]) if (signer.sha256.equals(one.certificate.sha256)) return one === rsa ? 'rsa' : 'ec';
      return 'somebody else’s own certificate';
    },
  };
}

/** Enveloped messages to the registration authority, from all ciphers that real clients use. */
export function envelopedTarget(): Target {
  const { registration, openssl } = seeds();
  const foreign = (...args: string[]) =>
    openssl('cms', '-encrypt', '-binary', '-in', 'body', '-outform', 'DER', ...args, 'ra.pem');
  const mine = CIPHERS.map((cipher) => encryptEnvelope(BODY, registration.certificate, cipher));
  const digests = new Map<string, number>();
  return {
    ...{ name: 'cms-enveloped', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [...mine, foreign('-aes256'), foreign('-aes128', '-stream'), foreign('-des3'), foreign('-aes192', '-keyid')],
    make: (dice, change) => encryptEnvelope(change(BODY), registration.certificate, cipher(dice)),
    parse: (input) => {
      const opened = decryptEnvelope(input, registration, { allowLegacyCiphers: true });
      if (opened.length > input.length) throw new Broken('more came out than went in');
      const way = createHash('sha256').update(opened).digest('hex').slice(0, 1);
      digests.set(way, (digests.get(way) ?? 0) + 1);
      return opened.equals(BODY) ? 'ours' : `other ${way}`;
    },
  };
}

const cipher = (dice: Dice): string => dice.pick(CIPHERS);
