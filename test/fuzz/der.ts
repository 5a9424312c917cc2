import { createPublicKey } from 'node:crypto';
import { fromPem, makeCsr, parseCertificate, readDer, signCms, toPem, verifyIssuedBy } from '#wire';
import { type Node, octets, oidOf, textOf, timeOf } from '../../src/wire/der/read.ts';
import { WireError } from '../../src/wire/error.ts';
import { BODY, foreignCertificate, seeds } from './seeds.ts';
import { Broken, checkTexts, type Target } from './target.ts';
import { DER_WORDS } from './words.ts';

/** The BER walk (src/wire/der/read.ts) with its readers of leaves, each of which may refuse too. */
export function derTarget(): Target {
  const { rsa, ec, openssl } = seeds();
  return {
    ...{ name: 'der', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [
      Buffer.from(ec.certificate.der),
      foreignCertificate(),
      signCms({ content: BODY, certificate: rsa.certificate, key: rsa.key }),
      // streaming output has indefinite lengths
      openssl('cms', '-sign', '-binary', '-stream', '-nodetach', '-in', 'body', '-signer', 'ec.pem', '-outform', 'DER'),
      createPublicKey(rsa.key).export({ format: 'der', type: 'spki' }),
      makeCsr({ key: ec.key, commonName: 'x', challengePassword: 'y' }),
    ],
    parse: (input) => {
      const way = { tags: new Set<number>(), deep: 0 };
      visit(readDer(input), way, 0);
      return `${[...way.tags].sort().join()} ${way.deep}`;
    },
  };
}

function visit(node: Node, way: { tags: Set<number>; deep: number }, depth: number): void {
  way.tags.add(node.tag);
  way.deep = Math.max(way.deep, depth);
  if (node.value.length > node.bytes.length) throw new Broken('the contents are longer than the element');
  for (const read of [octets, oidOf, textOf, timeOf]) {
    // octets() of a long chain copies at each level: only where a parser would ask for it.
    if (read === octets && (node.tag & 0x1f) !== 4 && node.tag < 0x80) continue;
    try {
      read(node);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }
  for (const one of node.children) visit(one, way, depth + 1);
}

/** Certificates: ours, openssl's, and as issuer and subject of each other. */
export function certificateTarget(): Target {
  const { ca, rsa, ec } = seeds();
  return {
    ...{ name: 'certificate', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [...[ca, rsa, ec].map(({ certificate }) => Buffer.from(certificate.der)), foreignCertificate()],
    parse: (input) => {
      const certificate = parseCertificate(input);
      checkTexts(certificate.commonName);
      if (Number.isNaN(certificate.notAfter) || Number.isNaN(certificate.notBefore)) throw new Broken('a time is none');
      if (!fromPem(toPem('CERTIFICATE', input)).equals(input)) throw new Broken('PEM does not give back what it took');
      const trusted = verifyIssuedBy(certificate, ca.certificate, Date.now());
      if (trusted && ![ca, rsa, ec].some((one) => certificate.sha256.equals(one.certificate.sha256))) sameTbs(input);
      return `${trusted} ${certificate.isCa} ${certificate.algorithm} ${certificate.commonName === undefined}`;
    },
  };
}

/** A changed certificate may still be trusted if the change is outside of what is signed: nothing that we read may differ. */
function sameTbs(input: Buffer): void {
  const { ca, rsa, ec } = seeds();
  const { tbs } = parseCertificate(input);
  if (![ca, rsa, ec].some((one) => Buffer.compare(one.certificate.tbs, tbs) === 0))
    throw new Broken('a changed certificate is trusted');
}
