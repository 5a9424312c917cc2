import { spawn } from 'node:child_process';
import { createPublicKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { publicOf, rawPublic } from '#seal';
import { KeeperError } from './error.ts';
import type { TokenSettings } from './settings.ts';

const TIMEOUT_MS = 15_000;
/** SoftHSM does not find its token for a moment while another process has it. Nothing else is tried again: PINs are counted. */
const TRIES = 5;
const AWAY = /No slot with token named/;
/**
 * `pkcs11-tool` derives from a file into a file, and Node gives a child sockets, which have no name: the shell makes pipes of them, so
 * that no secret touches a disk.
 */
const THROUGH_PIPES = 'cat | pkcs11-tool "$@" --input-file /dev/stdin --output-file /dev/fd/4 4>&1 1>/dev/null | cat';

interface Run {
  /** Nothing need come out. */
  readonly silent?: boolean;
  readonly pipes?: boolean;
}

const unable = (cause?: unknown) =>
  new KeeperError(
    'token',
    'The token does not do what it is asked. Look at the module, the token, the key and the PIN.',
    {
      cause,
    },
  );

/**
 * P-256 keys in a PKCS #11 token, through OpenSC's `pkcs11-tool`: a process of its own for each question, so a vendor's library
 * shares an address space with nothing of ours. The keys are made in the token, sensitive and not extractable; what comes out is
 * one shared secret per point that is asked about.
 */
export class Token {
  readonly #settings: TokenSettings;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(settings: TokenSettings) {
    this.#settings = settings;
  }

  /** Makes a key pair. Returns its id (hexadecimal) and raw public key (65 bytes). */
  async make(label: string): Promise<{ id: string; key: Buffer }> {
    const id = randomBytes(8).toString('hex');
    const kind = ['--key-type', 'EC:prime256v1', '--usage-derive', '--sensitive', '--private'];
    await this.#run(['--keypairgen', ...kind, '--id', id, '--label', label], Buffer.alloc(0), { silent: true });
    return { id, key: await this.publicKey(id) };
  }

  async publicKey(id: string): Promise<Buffer> {
    const der = await this.#run(['--read-object', '--type', 'pubkey', '--id', id], Buffer.alloc(0));
    try {
      return rawPublic(createPublicKey({ key: der, format: 'der', type: 'spki' }));
    } catch (cause) {
      throw unable(cause);
    }
  }

  /** ECDH with a point (65 bytes, on the curve): the shared secret's x-coordinate, 32 bytes. SealError `key` for other points. */
  async derive(id: string, point: Uint8Array): Promise<Buffer> {
    const peer = publicOf(point).export({ format: 'der', type: 'spki' });
    const secret = await this.#run(['--derive', '--mechanism', 'ECDH1-DERIVE', '--id', id], peer, { pipes: true });
    if (secret.length !== 32) throw unable();
    return secret;
  }

  async destroy(id: string): Promise<void> {
    for (const type of ['privkey', 'pubkey']) {
      await this.#run(['--delete-object', '--type', type, '--id', id], Buffer.alloc(0), { silent: true });
    }
  }

  /** One question after another: a token works in turn anyway. */
  #run(args: readonly string[], input: Uint8Array, options: Run = {}): Promise<Buffer> {
    const mine = this.#turn.then(async () => {
      for (let tried = 1; ; tried += 1) {
        const answer = await this.#once(args, input, options);
        if (answer !== 'away') return answer;
        if (tried >= TRIES) throw unable();
        await sleep(20 * 2 ** tried);
      }
    });
    this.#turn = mine.catch(() => {});
    return mine;
  }

  #once(args: readonly string[], input: Uint8Array, { silent, pipes }: Run): Promise<Buffer | 'away'> {
    const { module, token, pinFile, environment } = this.#settings;
    return new Promise((resolve, reject) => {
      let pin: string;
      try {
        pin = readFileSync(pinFile, 'utf8').split('\n')[0]!.trim();
      } catch (cause) {
        reject(unable(cause));
        return;
      }
      // The PIN travels in the child's environment, not on its command line, which others can read.
      const whole = ['--module', module, '--token-label', token, '--login', '--pin', 'env:BTZ_PIN', ...args];
      const [file, given] =
        pipes === true
          ? (['/bin/sh', ['-c', THROUGH_PIPES, 'sh', ...whole]] as const)
          : (['pkcs11-tool', whole] as const);
      const child = spawn(file, given, {
        env: { PATH: '/usr/bin:/bin', ...environment, BTZ_PIN: pin },
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
      const parts: Buffer[] = [];
      child.stdout.on('data', (part: Buffer) => parts.push(part));
      let complaint = '';
      child.stderr.setEncoding('utf8').on('data', (part: string) => {
        if (complaint.length < 4_096) complaint += part;
      });
      child.on('error', (cause) => {
        clearTimeout(timer);
        reject(unable(cause));
      });
      child.stdin.on('error', () => {});
      child.on('close', (status) => {
        clearTimeout(timer);
        const output = Buffer.concat(parts);
        if (status === 0 && (silent === true || output.length > 0)) resolve(output);
        else if (AWAY.test(complaint)) resolve('away');
        else reject(unable());
      });
      child.stdin.end(input);
    });
  }
}
