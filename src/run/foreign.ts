import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const GO = ['/usr/local/go/bin/go', '/usr/lib/go/bin/go', '/usr/bin/go'];
const SOURCE = join(import.meta.dirname, '..', '..', 'verifiers', 'go-sumdb');
const DEBIAN = '/usr/share/gocode';
/** SubjectPublicKeyInfo of Ed25519 up to the key (RFC 8410, section 4). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** The Go command of this machine, or undefined. */
export const findGo = (): string | undefined =>
  [process.env['GO'] ?? '', ...GO].find((path) => path !== '' && existsSync(path));

/** For a build that downloads no other toolchain and keeps its cache in a temporary folder of this user. */
export function goEnvironment(): NodeJS.ProcessEnv {
  const cache = process.env['GOCACHE'] ?? join(tmpdir(), `btz-go-cache-${process.getuid?.() ?? 0}`);
  return { ...process.env, GOCACHE: cache, GOTOOLCHAIN: 'local', GOWORK: 'off', CGO_ENABLED: '0' };
}

/**
 * Builds `verifiers/go-sumdb` into `folder` and returns the program's path, or undefined if there is no Go. Its module
 * comes from the Go module proxy, pinned by go.sum, or else from Debian's golang-golang-x-mod-dev. Throws with Go's words.
 */
export async function buildGoVerifier(folder: string): Promise<string | undefined> {
  const go = findGo();
  if (go === undefined) return undefined;
  const program = join(folder, 'logverify');
  const env = goEnvironment();
  const options = { cwd: SOURCE, timeout: 120_000 };
  try {
    await run(go, ['build', '-buildvcs=false', '-o', program, '.'], { ...options, env });
  } catch (error) {
    if (!existsSync(join(DEBIAN, 'src/golang.org/x/mod'))) throw error;
    const offline = { ...env, GO111MODULE: 'off', GOPATH: DEBIAN, GOFLAGS: '' };
    await run(go, ['build', '-o', program, 'main.go'], { ...options, env: offline });
  }
  return program;
}

/** Whether OpenSSL takes the checkpoint's signature for the log's. `verifierKey` is a note key: name+hash+base64. */
export async function opensslVerifies(checkpoint: string, verifierKey: string, folder: string): Promise<boolean> {
  const name = verifierKey.slice(0, verifierKey.indexOf('+'));
  // After the second plus comes an algorithm byte, then the key; base64 may hold pluses of its own.
  const key = Buffer.from(verifierKey.split('+').slice(2).join('+'), 'base64').subarray(1);
  const end = checkpoint.indexOf('\n\n') + 1;
  const line = checkpoint
    .slice(end + 1)
    .split('\n')
    .find((one) => one.startsWith(`— ${name} `));
  if (end === 0 || line === undefined || key.length !== 32) return false;
  const at = (file: string) => join(folder, file);
  writeFileSync(at('text'), checkpoint.slice(0, end));
  // A note's signature begins with four bytes that name the key.
  writeFileSync(at('signature'), Buffer.from(line.split(' ')[2] ?? '', 'base64').subarray(4));
  writeFileSync(at('key'), Buffer.concat([SPKI, key]));
  const args = ['pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', at('key'), '-rawin'];
  return run('openssl', [...args, '-in', at('text'), '-sigfile', at('signature')], { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

/**
 * Tools that share no code with us and that this machine has, each of which verified the log. Go's sumdb checks
 * signature, every inclusion and the whole tree; OpenSSL the checkpoint's signature. A tool that is not here is left out.
 */
export async function foreignVerifiers(logDir: string, verifierKey: string): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'btz-verify-'));
  const verified: string[] = [];
  try {
    const program = await buildGoVerifier(folder).catch(() => undefined);
    if (program !== undefined) {
      const answer = await run(program, [verifierKey, logDir], { timeout: 60_000 }).catch(() => undefined);
      if (answer !== undefined && (JSON.parse(answer.stdout) as { ok: boolean }).ok) {
        verified.push('golang.org/x/mod/sumdb (every inclusion, checkpoint)');
      }
    }
    const checkpoint = readFileSync(join(logDir, 'checkpoint'), 'utf8');
    if (await opensslVerifies(checkpoint, verifierKey, folder)) verified.push('openssl (checkpoint signature)');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return verified;
}
