import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MODULE = 'github.com/jessepeterson/mdmb';
const VERSION = 'v0.0.0-20260323201059-7cd89f1c4c0e';

/** Where a tool can be had, or why not. */
export type Tool = { readonly path: string } | { readonly missing: string };

async function which(names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const found = await run(name, ['version']).then(
      () => name,
      () => undefined,
    );
    if (found) return found;
  }
  return undefined;
}

/**
 * Finds `mdmb`, a device simulator that is not ours: BARTIZAN_MDMB names a binary; else it is built once from its Go
 * module, into a cache outside the repository. `missing` says why there is none (no Go, or the module proxy has it not).
 */
export async function findMdmb(): Promise<Tool> {
  const given = process.env['BARTIZAN_MDMB'];
  if (given !== undefined) return existsSync(given) ? { path: given } : { missing: 'BARTIZAN_MDMB names no file' };
  const cache = join(tmpdir(), `bartizan-tools-${userInfo().uid}`);
  const built = join(cache, `mdmb-${createHash('sha256').update(VERSION).digest('hex').slice(0, 12)}`);
  if (existsSync(built)) return { path: built };
  const go = await which(['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go']);
  if (go === undefined) return { missing: 'there is no Go toolchain' };
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const dir = mkdtempSync(join(cache, 'build-'));
  try {
    writeFileSync(join(dir, 'go.mod'), 'module bartizan.example/tools\n\ngo 1.19\n');
    const env = { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', GOBIN: dir };
    await run(go, ['get', `${MODULE}/cmd/mdmb@${VERSION}`], { cwd: dir, env, timeout: 120_000 });
    await run(go, ['build', '-o', 'mdmb', `${MODULE}/cmd/mdmb`], { cwd: dir, env, timeout: 300_000 });
    renameSync(join(dir, 'mdmb'), built);
    return { path: built };
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    return { missing: `mdmb could not be built: ${said.trim().split('\n').at(-1)?.trim() ?? 'unknown'}` };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export interface ForeignPhone {
  readonly udid: string;
  /** One connection: Idle, then every command that waits. Returns what mdmb printed. */
  connect(): Promise<string>;
  /** Sends TokenUpdate again. */
  updateToken(): Promise<string>;
  /** Identifiers of the profiles that mdmb says are installed. */
  profiles(): Promise<string>;
  close(): void;
}

/**
 * A phone that is not ours enrols through a link: the profile is fetched here as an iPhone would and given to mdmb,
 * which does SCEP, Authenticate and TokenUpdate. mdmb decodes unsigned XML only, wants the SCEP payload and
 * SignMessage, PUTs with a detached SHA-1 signature, leaves Content-Type out of command requests, and encrypts SCEP with DES.
 */
export async function foreignPhone(options: {
  readonly mdmb: string;
  readonly enrolUrl: string;
}): Promise<ForeignPhone> {
  const dir = mkdtempSync(join(tmpdir(), 'btz-mdmb-'));
  const call = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run(options.mdmb, ['-db', join(dir, 'db'), ...args], {
      cwd: dir,
      timeout: 60_000,
    });
    return stdout + stderr;
  };
  try {
    const profile = await fetch(options.enrolUrl);
    if (profile.status !== 200) throw new Error(`the enrolment link answered ${profile.status}`);
    writeFileSync(join(dir, 'enrol.mobileconfig'), Buffer.from(await profile.arrayBuffer()));
    await call('devices-create');
    const udid = (await call('devices-list')).trim().split(/\s+/).at(-1)!;
    const said = await call('-uuids', udid, 'devices-profiles-install', '-f', join(dir, 'enrol.mobileconfig'));
    if (/error|fail|refused|status/i.test(said.replaceAll('error=null', ''))) throw new Error(`mdmb: ${said}`);
    return {
      udid,
      connect: () => call('-uuids', udid, 'devices-connect'),
      updateToken: () => call('-uuids', udid, 'devices-tokenupdate'),
      profiles: () => call('-uuids', udid, 'devices-profiles-list'),
      close: () => rmSync(dir, { recursive: true, force: true }),
    };
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}
