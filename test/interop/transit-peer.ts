import { execFileSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** How the peer misbehaves. */
export type Mood = 'good' | 'another-key' | 'wrong' | 'slow' | 'sealed' | 'garbage' | 'long';

/** A certificate for localhost and its authority, made by OpenSSL. */
export function localCertificate(dir: string): { ca: string; cert: string; key: string } {
  mkdirSync(dir, { recursive: true });
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=a test authority');
  openssl('req', ...ec, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(join(dir, 'ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'],
    ...['-extfile', 'ext', '-out', 'server.pem'],
  );
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  return { ca: read('ca.pem'), cert: read('server.pem'), key: read('server.key') };
}

/**
 * A key service that answers as OpenBao's and Vault's transit engine does for an aes256-gcm96 key: `batch_input`,
 * `associated_data`, `vault:v1:` texts, errors within an item, 403 for a wrong token, 503 while sealed. Over real TLS.
 */
export class TransitPeer {
  mood: Mood = 'good';
  /** Verbs that were asked, in order. */
  readonly asked: string[] = [];
  readonly token = randomBytes(12).toString('hex');
  readonly #key = randomBytes(32);
  readonly #server: Server;
  readonly #slow = new Set<NodeJS.Timeout>();

  constructor(certificate: { cert: string; key: string }) {
    this.#server = createServer(certificate, (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const send = (status: number, body: unknown) => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(typeof body === 'string' ? body : JSON.stringify(body));
        };
        const [, verb, name] = /^\/v1\/transit\/(encrypt|decrypt)\/([a-z]+)$/.exec(request.url ?? '') ?? [];
        if (request.headers['x-vault-token'] !== this.token) return send(403, { errors: ['permission denied'] });
        if (verb === undefined || name !== 'bartizan' || request.method !== 'POST') return send(404, { errors: [] });
        this.asked.push(verb);
        if (this.mood === 'sealed') return send(503, { errors: ['Vault is sealed'] });
        if (this.mood === 'garbage') return send(200, '<html>');
        if (this.mood === 'long') return send(200, ' '.repeat(200_000));
        if (this.mood === 'slow') {
          // A byte now and then: whoever waits for silence waits for ever.
          response.writeHead(200);
          this.#slow.add(setInterval(() => response.write(' '), 100));
          return;
        }
        const { batch_input: batch } = JSON.parse(Buffer.concat(parts).toString()) as {
          batch_input: Record<string, string>[];
        };
        send(200, { data: { batch_results: batch.map((item) => this.#item(verb, item)) } });
      });
    });
  }

  #item(verb: string, item: Record<string, string>): object {
    const aad = Buffer.from(item['associated_data'] ?? '', 'base64');
    const key = this.mood === 'another-key' ? Buffer.alloc(32) : this.#key;
    if (verb === 'encrypt') {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
      const sealed = [
        nonce,
        cipher.update(Buffer.from(item['plaintext']!, 'base64')),
        cipher.final(),
        cipher.getAuthTag(),
      ];
      return { ciphertext: `vault:v1:${Buffer.concat(sealed).toString('base64')}`, key_version: 1 };
    }
    if (this.mood === 'wrong') return { plaintext: randomBytes(60).toString('base64') };
    const bytes = Buffer.from(item['ciphertext']!.slice('vault:v1:'.length), 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(aad);
      decipher.setAuthTag(bytes.subarray(-16));
      const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
      return { plaintext: plain.toString('base64') };
    } catch {
      return { error: 'cipher: message authentication failed' };
    }
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const one of this.#slow) clearInterval(one);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
