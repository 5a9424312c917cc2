import { createPublicKey } from 'node:crypto';
import { fromPem, makeCsr, parseCertificate, readDer, signCms, toPem, verifyIssuedBy } from '#wire';
import { type Node, octets, oidOf, textOf, timeOf } from '../../src/wire/der/read.ts';
import { WireError } from '../../src/wire/error.ts';
import { BODY, foreignCertificate, seeds } from './seeds.ts';
import { Broken, type Target } from './target.ts';
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
      const way: Way = { tags: new Set(), deep: 0, seen: 0 };
      visit(readDer(input), way, 0);
      return `${[...way.tags].sort().join()} ${way.deep}`;
    },
  };
}

const READERS: readonly (readonly [(node: Node) => unknown, readonly number[]])[] = [
  ...([
    [octets, [4]],
    [oidOf, [6]],
    [textOf, [0x0c, 0x13, 0x14, 0x16, 0x1e]],
    [timeOf, [0x17, 0x18]],
  ] as const),
];

interface Way {
  readonly tags: Set<number>;
  deep: number;
  seen: number;
}

function visit(node: Node, way: Way, depth: number, inOctets = false): void {
  way.tags.add(node.tag);
  way.deep = Math.max(way.deep, depth);
  if (node.value.length > node.bytes.length) throw new Broken('the contents are longer than the element');
  // Every reader at the first elements, whatever their tag; then those that a parser would choose.
  for (const [read, tags] of READERS) {
    if (way.seen > 12 && !tags.includes(node.tag & 0x1f)) continue;
    if (read === octets && inOctets) continue;
    try {
      read(node);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }
  way.seen += 1;
  for (const one of node.children) visit(one, way, depth + 1, (node.tag & 0x1f) === 4);
}

/** Certificates: ours, openssl's, and as issuer and subject of each other. */
export function certificateTarget(): Target {
  const { ca, rsa, ec } = seeds();
  return {
    ...{ name: 'certificate', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [...[ca, rsa, ec].map(({ certificate }) => Buffer.from(certificate.der)), foreignCertificate()],
    parse: (input) => {
      const certificate = parseCertificate(input);
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
