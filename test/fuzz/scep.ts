import {
  buildPkcsReq,
  certRepFailure,
  certRepSuccess,
  encryptEnvelope,
  makeCa,
  makeCsr,
  parseCsr,
  parsePkiMessage,
  readCertRep,
  signCms,
} from '#wire';
import { octetString, printableString } from '../../src/wire/der/write.ts';
import { SCEP } from '../../src/wire/scep/attributes.ts';
import { seeds } from './seeds.ts';
import { Broken, type Target } from './target.ts';
import { DER_WORDS } from './words.ts';

const CHALLENGE = 'a-challenge-that-nobody-knows';

function requests(): Buffer[] {
  const { rsa, ec, openssl } = seeds();
  const config = ['-subj', '/C=EE/O=Example/CN=phone', '-addext', 'subjectAltName=DNS:a.example', '-outform', 'DER'];
  return [
    makeCsr({ key: rsa.key, commonName: 'phone', challengePassword: CHALLENGE }),
    makeCsr({ key: ec.key, commonName: 'phone' }),
    openssl('req', '-new', '-key', 'rsa.pem', ...config),
    openssl('req', '-new', '-key', 'ec.pem', '-sha384', ...config),
  ];
}

/** Certification requests, as they come out of SCEP or ACME. */
export function csrTarget(): Target {
  return {
    ...{ name: 'csr', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: requests(),
    parse: (input) => {
      const { spki, challengePassword } = parseCsr(input);
      return `${spki.length} ${challengePassword === undefined}`;
    },
  };
}

/** What arrives at /scep: SignedData over EnvelopedData over a request, and the inside alone changed. */
export function scepTarget(): Target {
  const { registration, ec, rsa } = seeds();
  const self = makeCa(ec.key, { commonName: 'phone', days: 1, now: Date.now() });
  const signer = { certificate: self, key: ec.key };
  const [csr, ...others] = requests() as [Buffer, ...Buffer[]];
  const build = (more: object = {}) =>
    buildPkcsReq({ csr, signer, registration: registration.certificate, ...more }).message;
  return {
    ...{ name: 'scep', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [
      ...[build(), build({ digest: 'sha1', cipherOid: '1.3.14.3.2.7' }), build({ cipherOid: '1.2.840.113549.3.7' })],
      build({ signer: rsa }),
    ],
    make: (dice, change) => {
      const odd = (value: Buffer) => (dice.once(6) ? change(value) : value);
      const content = dice.once(2)
        ? encryptEnvelope(change(dice.pick([csr, ...others])), registration.certificate)
        : odd(encryptEnvelope(csr, registration.certificate));
      return signCms({
        ...{ content, certificate: self, key: ec.key },
        attributes: [
          [SCEP.transactionId, odd(printableString('transaction'))],
          [SCEP.messageType, odd(printableString(dice.pick(['19', '17', '20', '3'])))],
          [SCEP.senderNonce, odd(octetString(Buffer.alloc(16, 1)))],
        ],
      });
    },
    parse: (input) => {
      const request = parsePkiMessage(input, registration, { allowLegacy: true });
      // Edge goes on to the request inside, and answers a refusal with what it read.
      const failure = certRepFailure(request, registration, 'badRequest');
      if (failure.length > 8_192 + input.length) throw new Broken('a refusal is larger than what it refuses');
      parseCsr(request.csr);
      return request.messageType;
    },
  };
}

/** The client's side: what a server answers (our simulated phones have a reader of their own; this is wire's). */
export function certRepTarget(): Target {
  const { registration, ca, rsa } = seeds();
  const exchange = buildPkcsReq({ csr: requests()[0]!, signer: rsa, registration: registration.certificate });
  const request = parsePkiMessage(exchange.message, registration, { allowLegacy: true });
  return {
    ...{ name: 'cert-rep', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [
      certRepSuccess(request, registration, [rsa.certificate, ca.certificate]),
      certRepFailure(request, registration, 'badAlg'),
    ],
    parse: (input) => {
      const reply = readCertRep(input, exchange);
      return 'failInfo' in reply ? `no ${reply.failInfo}` : `${reply.certificates.length}`;
    },
  };
}
