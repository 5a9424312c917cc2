import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A server on loopback that can go away and come back at its address. */
export async function peer(
  listener: RequestListener,
): Promise<{ url: string; away(): Promise<void>; back(): Promise<void> }> {
  let server = createServer(listener);
  const open = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  await open(0);
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`,
    away: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    back: () => {
      server = createServer(listener);
      return open(port);
    },
  };
}

const CONFIG = `
[ tsa ]
default_tsa = tsa_config
[ tsa_config ]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[ tsa_ext ]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[ req ]
distinguished_name = dn
[ dn ]
`;

/** A time stamp authority: `openssl ts -reply` behind HTTP, with its root in `ca.pem`. */
export async function authority(dir: string) {
  mkdirSync(dir, { recursive: true });
  const openssl = (...args: string[]) => run('openssl', args, { cwd: dir, encoding: 'buffer' });
  writeFileSync(join(dir, 'tsa.cnf'), CONFIG);
  writeFileSync(join(dir, 'serial'), '01\n');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test root', '-days', '30');
  await openssl('req', ...key, '-keyout', 'tsa.key', '-out', 'tsa.csr', '-subj', '/CN=Test TSA');
  await openssl(
    ...['x509', '-req', '-in', 'tsa.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', '2', '-days', '30'],
    ...['-extfile', 'tsa.cnf', '-extensions', 'tsa_ext', '-out', 'tsa.pem'],
  );
  let asked = 0;
  const stamp = async (query: Buffer): Promise<Buffer> => {
    asked += 1;
    const name = `q${asked}`;
    writeFileSync(join(dir, `${name}.tsq`), query);
    await openssl(
      'ts',
      '-reply',
      '-config',
      'tsa.cnf',
      '-section',
      'tsa_config',
      '-queryfile',
      `${name}.tsq`,
      '-out',
      `${name}.tsr`,
    );
    return readFileSync(join(dir, `${name}.tsr`));
  };
  const server = await peer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      stamp(Buffer.concat(parts)).then(
        (reply) => response.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(reply),
        () => response.writeHead(500).end(),
      );
    });
  });
  return {
    ...server,
    asked: () => asked,
    /** OpenSSL's word on a stamp of a file. */
    verifies: (file: string, reply: string) =>
      run('openssl', ['ts', '-verify', '-data', file, '-in', reply, '-CAfile', join(dir, 'ca.pem')]).then(
        () => true,
        () => false,
      ),
    close: async () => {
      await server.away();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
