import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Certificate,
  certRepFailure,
  certRepSuccess,
  enrolmentProfile,
  isDict,
  issueCertificate,
  makeCa,
  parseCsr,
  parsePkiMessage,
  parsePlist,
  SCEP_CAPS,
  signCms,
  textAt,
  verifyIssuedBy,
  verifyMdmSignature,
} from '#wire';

/** One thing a phone told the peer. */
export interface Told {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
  readonly status: string;
  readonly uuid: string;
}

export interface TinyPeer {
  readonly url: string;
  readonly told: Told[];
  /** Commands waiting; the front one is offered until it is answered with anything but NotNow. */
  readonly queue: { uuid: string; body: Buffer }[];
  /** Messages whose signature did not hold. */
  readonly refused: () => number;
  close(): Promise<void>;
}

const read = async (request: IncomingMessage): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
};

/** The least that a phone can talk to, in one process and without a store: it lets phones be tested before the product. */
export async function tinyPeer(options: { signedProfile?: boolean } = {}): Promise<TinyPeer> {
  const now = Date.now();
  const caKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ca = { certificate: makeCa(caKey.privateKey, { commonName: 'Tiny CA', days: 20, now }), key: caKey.privateKey };
  const raKey = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issue = (spki: Uint8Array, usage: 'device' | 'registration', commonName: string): Certificate =>
    issueCertificate(ca, { spki, commonName, days: 10, usage, now });
  const ra = {
    certificate: issue(raKey.publicKey.export({ type: 'spki', format: 'der' }), 'registration', 'Tiny RA'),
    key: raKey.privateKey,
  };
  const challenge = 'one-time_challenge';
  const told: Told[] = [];
  const queue: TinyPeer['queue'] = [];
  let refused = 0;

  const profile = (base: string): Buffer => {
    const plain = enrolmentProfile({
      id: randomUUID(),
      organisation: 'Example Agency',
      identity: { kind: 'scep', url: `${base}/scep`, challenge },
      serverUrl: `${base}/mdm`,
      checkInUrl: `${base}/checkin`,
      topic: 'com.apple.mgmt.External.example',
    });
    return options.signedProfile ? signCms({ content: plain, certificate: ra.certificate, key: ra.key }) : plain;
  };

  const scep = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    const operation = url.searchParams.get('operation');
    if (operation === 'GetCACaps') return void response.end(SCEP_CAPS);
    if (operation === 'GetCACert') {
      response.setHeader('content-type', 'application/x-x509-ca-cert');
      return void response.end(ra.certificate.der);
    }
    const message = parsePkiMessage(await read(request), ra, { allowLegacy: true });
    const csr = parseCsr(message.csr);
    const issued = () => issue(csr.spki, 'device', 'phone');
    const reply =
      csr.challengePassword === challenge
        ? certRepSuccess(message, ra, [issued(), ca.certificate])
        : certRepFailure(message, ra, 'badRequest');
    response.setHeader('content-type', 'application/x-pki-message');
    response.end(reply);
  };

  const mdm = async (request: IncomingMessage, response: ServerResponse, path: string): Promise<void> => {
    const body = await read(request);
    try {
      const signer = verifyMdmSignature(String(request.headers['mdm-signature']), body, { allowLegacyDigest: true });
      if (!verifyIssuedBy(signer, ca.certificate, Date.now())) throw new Error('a stranger');
    } catch {
      refused += 1;
      response.statusCode = 400;
      return void response.end();
    }
    let status = '';
    let uuid = '';
    try {
      const message = parsePlist(body, { maxBytes: 1 << 20 });
      if (isDict(message)) {
        status = textAt(message, 'Status') ?? textAt(message, 'MessageType') ?? '';
        uuid = textAt(message, 'CommandUUID') ?? '';
      }
    } catch {
      response.statusCode = 400;
    }
    const contentType = request.headers['content-type'] ?? '';
    told.push({ method: request.method ?? '', path, contentType, body, status, uuid });
    if (response.statusCode !== 200 || path === '/checkin') return void response.end();
    if (status !== 'Idle' && status !== 'NotNow' && queue[0]?.uuid === uuid) queue.shift();
    const next = status === 'NotNow' ? queue.find((command) => command.uuid !== uuid) : queue[0];
    response.end(next?.body);
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://peer.invalid');
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const work = async (): Promise<void> => {
      if (url.pathname === '/scep') return scep(request, response, url);
      if (url.pathname === '/mdm' || url.pathname === '/checkin') return mdm(request, response, url.pathname);
      response.setHeader('content-type', 'application/x-apple-aspen-config');
      response.end(profile(base));
    };
    work().catch(() => {
      response.statusCode = 500;
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    told,
    queue,
    refused: () => refused,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
