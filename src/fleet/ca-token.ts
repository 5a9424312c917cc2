import { spawn } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sign } from '#wire';
import { FleetError } from './error.ts';

/** A key in a PKCS #11 token (HSM, smart card, SoftHSM), used through OpenSC's `pkcs11-tool`. */
export interface Pkcs11Key {
  /** Path of the vendor's module. */
  readonly module: string;
  readonly token: string;
  /** Label of the key pair: P-256, P-384 or RSA. */
  readonly key: string;
  /** A file, such as a systemd credential, whose first line is the user PIN. */
  readonly pinFile: string;
  /** What the module needs in its environment, such as SOFTHSM2_CONF. */
  readonly environment?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 15_000;
/** Processes at a time: a token works in turn anyway. */
const AT_ONCE = 1;
/** SoftHSM does not find its token for a moment while another process has it. Nothing else is tried again: PINs are counted. */
const TRIES = 5;
const AWAY = /No slot with token named/;

/**
 * Runs `pkcs11-tool` with bytes in and bytes out. A process of its own for each signature: a vendor's library never shares an
 * address space with core. The PIN travels in the child's environment, not on its command line, which others can read.
 */
async function tool(key: Pkcs11Key, args: readonly string[], input: Uint8Array): Promise<Buffer> {
  for (let tried = 1; ; tried += 1) {
    const answer = await run(key, args, input);
    if (answer !== 'away') return answer;
    if (tried >= TRIES) throw unable();
    await sleep(20 * 2 ** tried);
  }
}

const unable = (cause?: unknown) =>
  new FleetError(
    'ca-token',
    'The token with the CA’s key does not sign. Look at the module, the token, the key and the PIN.',
    {
      status: 503,
      cause,
    },
  );

function run(key: Pkcs11Key, args: readonly string[], input: Uint8Array): Promise<Buffer | 'away'> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) => reject(unable(cause));
    let pin: string;
    try {
      pin = readFileSync(key.pinFile, 'utf8').split('\n')[0]!.trim();
    } catch (cause) {
      fail(cause);
      return;
    }
    const child = spawn(
      'pkcs11-tool',
      [...['--module', key.module, '--token-label', key.token, '--login', '--pin', 'env:BTZ_PIN'], ...args],
      {
        env: { PATH: '/usr/bin:/bin', ...key.environment, BTZ_PIN: pin },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    const parts: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      if (complaint.length < 4_096) complaint += part;
    });
    child.on('error', fail);
    child.stdin.on('error', () => {});
    child.on('close', (status) => {
      clearTimeout(timer);
      const output = Buffer.concat(parts);
      if (status === 0 && output.length > 0) resolve(output);
      else if (AWAY.test(complaint)) resolve('away');
      else fail();
    });
    child.stdin.end(input);
  });
}

/**
 * The CKA_ID (hexadecimal) of the private key with this label. `pkcs11-tool` signs by ID alone and takes any key if it is given
 * none, so a label that names no key or several must stop here.
 */
async function idOf(key: Pkcs11Key): Promise<string> {
  const listed = (await tool(key, ['--list-objects', '--type', 'privkey'], Buffer.alloc(0))).toString('utf8');
  const own = listed
    .split(/^(?=Private Key Object)/m)
    .filter((object) => /^ *label: +(.*)$/m.exec(object)?.[1]?.trim() === key.key)
    .flatMap((object) => /^ *ID: +([0-9a-f]+)/m.exec(object)?.[1] ?? []);
  if (own.length !== 1) throw unable();
  return own[0]!;
}

/** SubjectPublicKeyInfo of the token's key. Throws FleetError `ca-token`. */
export async function publicKeyOfToken(key: Pkcs11Key): Promise<Buffer> {
  const der = await tool(key, ['--read-object', '--type', 'pubkey', '--id', await idOf(key)], Buffer.alloc(0));
  return createPublicKey({ key: der, format: 'der', type: 'spki' }).export({ format: 'der', type: 'spki' });
}

/** Signs with the token's key, SHA-256. `spki`: its public half, which says how. */
export function tokenSigner(key: Pkcs11Key, spki: Uint8Array): Sign {
  const kind = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).asymmetricKeyType;
  let known: string | undefined;
  const io = async () => {
    known ??= await idOf(key);
    return ['--sign', '--id', known];
  };
  let free = AT_ONCE;
  const waiting: (() => void)[] = [];
  const inTurn = async (work: () => Promise<Buffer>): Promise<Buffer> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
  return (data) =>
    inTurn(async () => {
      if (kind === 'rsa') return tool(key, [...(await io()), '--mechanism', 'SHA256-RSA-PKCS'], data);
      // Tokens differ in which hashes they know with ECDSA, so we hash; the signature comes in DER.
      const digest = createHash('sha256').update(data).digest();
      return tool(key, [...(await io()), '--mechanism', 'ECDSA', '--signature-format', 'openssl'], digest);
    });
}
