import { generateKeyPairSync, sign } from 'node:crypto';
import { parseAttestationObject } from '../../src/wire/acme/attestation.ts';
import { readJwk } from '../../src/wire/acme/jwk.ts';
import { parseJws, signedBy } from '../../src/wire/acme/jws.ts';
import { readKeyChange } from '../../src/wire/acme/key-change.ts';
import { readRevocation } from '../../src/wire/acme/objects.ts';
import { type Cbor, readCbor } from '../../src/wire/cbor/read.ts';
import { WireError } from '../../src/wire/error.ts';
import { Broken, type Target } from './target.ts';
import { JSON_WORDS, texts } from './words.ts';

const hex = (text: string) => Buffer.from(text.replace(/ /g, ''), 'hex');

/** Heads of RFC 8949 that lie about what follows: lengths, nesting, indefinite forms, odd numbers. */
const CBOR_WORDS = [
  ...['a1 63 66 6d 74 65 61 70 70 6c 65', '67 61 74 74 53 74 6d 74', '63 78 35 63', '9f', 'ff', 'bf', '5f', '7f'],
  ...['9b ff ff ff ff ff ff ff ff', '5a ff ff ff ff', '1b 7f ff ff ff ff ff ff ff', 'fb 7f f0 00 00 00 00 00 00'],
  ...[
    '81 81 81 81 81 81 81 81',
    'c2 41 00',
    'f7',
    'f8 20',
    '3b ff ff ff ff ff ff ff ff',
    '61 ff',
    'a2 61 61 01 61 61 02',
  ],
].map(hex);

const certificate = (length: number) =>
  Buffer.concat([hex('59'), Buffer.from([length >> 8, length & 255]), Buffer.alloc(length, 0x30)]);
const OBJECT = Buffer.concat([
  ...[
    hex('a2 63 66 6d 74 65 61 70 70 6c 65 67 61 74 74 53 74 6d 74 a1 63 78 35 63 82'),
    certificate(700),
    certificate(500),
  ],
]);
const EVERYTHING = hex('a5 01 02 20 38 63 61 61 f9 3c 00 62 62 62 83 f4 f5 f6 63 63 63 63 43 01 02 03');

/** Everything that CBOR holds here must be of the promised kinds, and no more of it than there were bytes. */
function count(value: Cbor): number {
  if (Array.isArray(value)) return (value as readonly Cbor[]).reduce<number>((sum, one) => sum + count(one), 1);
  if (value instanceof Map) return [...value].reduce((sum, [, one]) => sum + 1 + count(one), 1);
  return 1;
}

export function cborTarget(): Target {
  return {
    ...{ name: 'cbor', form: 'cbor', maxBytes: 64 * 1024, words: CBOR_WORDS },
    seeds: [OBJECT, EVERYTHING, hex('80'), hex('a0'), hex('18 ff')],
    parse: (input) => {
      const parts = count(readCbor(input));
      if (parts > input.length) throw new Broken('more values than bytes');
      return String(Math.ceil(Math.log2(parts + 1)));
    },
  };
}

export function attestationTarget(): Target {
  return {
    ...{ name: 'attestation-object', form: 'cbor', maxBytes: 64 * 1024, words: CBOR_WORDS },
    seeds: [OBJECT],
    parse: (input) => String(parseAttestationObject(input).length),
  };
}

/** Signed requests of ACME (RFC 8555, section 6.2), with a key that the request itself brings. */
export function jwsTarget(): Target {
  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const pairs = [
    { alg: 'ES256', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
    { alg: 'EdDSA', pair: generateKeyPairSync('ed25519') },
  ];
  const request = (alg: string, pair: (typeof pairs)[number]['pair']) => {
    const header = {
      alg,
      jwk: pair.publicKey.export({ format: 'jwk' }),
      nonce: 'AAAA',
      url: 'https://edge.example/acme/new-account',
    };
    const signed = `${b64(header)}.${b64({ termsOfServiceAgreed: true })}`;
    const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(signed), {
      key: pair.privateKey,
      ...(alg === 'EdDSA' ? {} : { dsaEncoding: 'ieee-p1363' as const }),
    });
    const [head, payload] = signed.split('.');
    return Buffer.from(JSON.stringify({ protected: head, payload, signature: signature.toString('base64url') }));
  };
  return {
    ...{ name: 'jws', form: 'json', maxBytes: 64 * 1024 },
    words: [
      ...JSON_WORDS,
      ...texts('"protected":"', '"payload":""', '"signature":"', 'eyJhbGciOiJub25lIn0', '"alg":"HS256"'),
    ],
    seeds: pairs.map(({ alg, pair }) => request(alg, pair)),
    parse: (input) => {
      const jws = parseJws(input);
      const jwk = 'jwk' in jws && jws.jwk !== undefined ? readJwk(jws.jwk) : undefined;
      return `${jws.alg} ${jwk === undefined ? 'kid' : signedBy(jws, jwk.key)}`;
    },
  };
}

const KEY_CHANGE = 'https://edge.example/acme/key-change';
const ACCOUNT = 'https://edge.example/acme/account/1';

/** The payloads of keyChange (a message inside a message, RFC 8555 section 7.3.5) and revokeCert (section 7.6), as JSON. */
export function accountPayloadTarget(): Target {
  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const [old, next] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' })) as [
    ReturnType<typeof generateKeyPairSync>,
    ReturnType<typeof generateKeyPairSync>,
  ];
  const oldKey = readJwk(old.publicKey.export({ format: 'jwk' }));
  const inner = (payload: object) => {
    const signed = `${b64({ alg: 'ES256', jwk: next.publicKey.export({ format: 'jwk' }), url: KEY_CHANGE })}.${b64(payload)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: next.privateKey, dsaEncoding: 'ieee-p1363' });
    const [head, body] = signed.split('.');
    return Buffer.from(JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') }));
  };
  return {
    ...{ name: 'acme-account-payload', form: 'json', maxBytes: 64 * 1024 },
    words: [...JSON_WORDS, ...texts('"protected":"', '"payload":""', '"certificate":"', '"reason":1', '"oldKey":{')],
    seeds: [
      inner({ account: ACCOUNT, oldKey: oldKey.jwk }),
      inner({ account: 'another', oldKey: oldKey.jwk }),
      inner({ account: ACCOUNT }),
      Buffer.from(JSON.stringify({ certificate: Buffer.alloc(700, 0x30).toString('base64url'), reason: 1 })),
    ],
    parse: (input) => {
      const payload = parseJws(request(input)).payload;
      const failures: string[] = [];
      const attempt = (what: string, read: () => unknown) => {
        try {
          read();
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          failures.push(`${what} ${error.message}`);
        }
      };
      attempt('key-change', () => readKeyChange(payload, { url: KEY_CHANGE, account: ACCOUNT, old: oldKey }));
      attempt('revoke', () => readRevocation(payload));
      return failures.join();
    },
  };
}

/** A message around a payload, as it comes to edge; its signature is checked elsewhere. */
const request = (payload: Buffer): Buffer => {
  const head = Buffer.from(JSON.stringify({ alg: 'ES256', kid: ACCOUNT, nonce: 'AAAA', url: KEY_CHANGE }));
  return Buffer.from(
    JSON.stringify({
      ...{ protected: head.toString('base64url'), payload: payload.toString('base64url') },
      signature: Buffer.alloc(64).toString('base64url'),
    }),
  );
};
