import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findGo, goEnvironment } from '../src/run/foreign.ts';

/** The version that is built; its module's hash is checked against Go's checksum database. */
const MODULE = 'github.com/jessepeterson/kmfddm';
const VERSION = 'v0.8.3';
const KEY = 'bench';

/** kmfddm on plain files, which it neither syncs nor keeps in memory. */
export interface KmfddmPeer {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * Builds kmfddm from its Go module and starts it with all declarations (JSON texts) for all devices. Its database storage
 * wants MySQL 8 (MariaDB lacks its syntax), and its key-value storages give one list another token from answer to answer, so
 * that devices would never come to rest; files are what is left.
 */
export async function startKmfddmPeer(options: {
  readonly dir: string;
  readonly port: number;
  readonly udids: readonly string[];
  readonly declarations: readonly string[];
}): Promise<KmfddmPeer> {
  const { dir, port, udids, declarations } = options;
  const go = findGo();
  if (go === undefined) throw new Error('There is no Go on this machine, so kmfddm cannot be built. Use --no-peer.');
  const env = { ...goEnvironment(), GOBIN: dir, GOFLAGS: '-mod=mod' };
  execFileSync(go, ['install', `${MODULE}/cmd/kmfddm@${VERSION}`], { env, cwd: dir, timeout: 300_000 });
  const listen = `127.0.0.1:${port}`;
  const storage = ['-storage', 'file', '-storage-options', 'enable_deprecated=1', '-storage-dsn', join(dir, 'files')];
  const nobody = ['-enqueue', 'http://127.0.0.1:9/'];
  const child = spawn(join(dir, 'kmfddm'), [...storage, ...nobody, '-api', KEY, '-listen', listen], {
    // It writes a line a request; nobody reads them, so that is free for it.
    stdio: 'ignore',
  });
  const url = `http://${listen}`;
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  try {
    await started(`${url}/version`);
    for (const text of declarations) {
      await put(url, '/declarations', text);
      await put(url, `/set-declarations/all?declaration=${(JSON.parse(text) as { Identifier: string }).Identifier}`);
    }
    for (const udid of udids) await put(url, `/enrollment-sets/${udid}?set=all`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: `kmfddm ${VERSION} on its files, not synced`, url, pid: child.pid!, stop };
}

async function put(url: string, path: string, body = ''): Promise<void> {
  const answer = await fetch(`${url}/v1${path}${path.includes('?') ? '&' : '?'}nonotify=1`, {
    method: 'PUT',
    headers: { authorization: `Basic ${Buffer.from(`kmfddm:${KEY}`).toString('base64')}` },
    body,
  });
  if (!answer.ok) throw new Error(`kmfddm refused ${path}: ${answer.status} ${(await answer.text()).slice(0, 200)}`);
}

async function started(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const ok = await fetch(url).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ok) return;
    await sleep(50);
  }
  throw new Error('kmfddm did not start.');
}
