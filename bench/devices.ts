import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Certificate, issueCertificate, signCms, writePlist } from '#wire';

/** An enrolled device of the benchmark. */
export interface BenchDevice {
  readonly handle: string;
  readonly udid: string;
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

interface Ca {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

const WORDS = [
  'amber',
  'brass',
  'cedar',
  'delta',
  'ember',
  'fjord',
  'grove',
  'haven',
  'inlet',
  'jetty',
  'knoll',
  'larch',
];

/** The n-th handle; 9000 a pair of words. */
export function benchHandle(n: number): string {
  const pair = Math.floor(n / 9_000);
  return `${WORDS[Math.floor(pair / WORDS.length) % WORDS.length]}-${WORDS[pair % WORDS.length]}-${(n % 9_000) + 1_000}`;
}

export const benchUdid = (n: number): string => `00008120-${(n + 1).toString(16).toUpperCase().padStart(16, '0')}`;

/**
 * Devices with true certificates of `ca`, each its own. RSA keys cost too much to make one a device: 32 are shared, the
 * certificates differ, and both servers look keys up by certificate.
 */
export function makeDevices(ca: Ca, from: number, count: number, kind: 'rsa' | 'ec'): BenchDevice[] {
  const shared =
    kind === 'rsa'
      ? Array.from(
          { length: Math.min(32, count) },
          () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
        )
      : undefined;
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    const key = shared?.[index % shared.length] ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    const certificate = issueCertificate(ca, {
      ...{ spki, commonName: benchUdid(n), days: 30, usage: 'device', now: Date.now() },
    });
    return { handle: benchHandle(n), udid: benchUdid(n), key, certificate };
  });
}

/** The bytes of one command request to either server, signed beforehand: neither looks at the time of signing. */
export const signedRequest = (
  device: BenchDevice,
  status: 'Idle' | 'Acknowledged',
  command?: string,
  digest: Digest = 'sha256',
): Buffer =>
  signedMessage(
    device,
    'mdm',
    {
      ...(command === undefined ? {} : { CommandUUID: command }),
      Status: status,
      UDID: device.udid,
    },
    digest,
  );

/** The same for a check-in of declarative management. */
export const signedDeclarative = (device: BenchDevice, endpoint: string, data?: object): Buffer =>
  signedMessage(device, 'checkin', {
    ...(data === undefined ? {} : { Data: Buffer.from(JSON.stringify(data)) }),
    ...{ Endpoint: endpoint, MessageType: 'DeclarativeManagement', UDID: device.udid },
  });

type Digest = 'sha256' | 'sha1';

function signedMessage(
  device: BenchDevice,
  to: 'mdm' | 'checkin',
  message: Parameters<typeof writePlist>[0],
  digest: Digest = 'sha256',
): Buffer {
  const body = writePlist(message);
  const signature = signCms({
    content: body,
    certificate: device.certificate,
    key: device.key,
    detached: true,
    digest,
  });
  const head = [
    `PUT /${to} HTTP/1.1`,
    'Host: mdm.example',
    `Content-Type: application/x-apple-aspen-mdm${to === 'mdm' ? '' : '-checkin'}; charset=UTF-8`,
    'User-Agent: MDM/1.0',
    `Mdm-Signature: ${signature.toString('base64')}`,
    `Content-Length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}
