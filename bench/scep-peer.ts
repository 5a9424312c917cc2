import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findGo, goEnvironment } from '../src/run/foreign.ts';

/** The version that is built; its module's hash is checked against Go's checksum database. */
const MODULE = 'github.com/micromdm/scep/v2';
const VERSION = 'v2.3.0';
export const CHALLENGE = 'bench';

export interface ScepPeer {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly caPem: string;
  stop(): void;
}

/** Builds MicroMDM's SCEP server from its Go module, makes it a CA and starts it. NanoMDM has no SCEP of its own. */
export async function startScepPeer(options: { readonly dir: string; readonly port: number }): Promise<ScepPeer> {
  const go = findGo();
  if (go === undefined) throw new Error('There is no Go on this machine, so the peer cannot be built. Use --no-peer.');
  const { dir, port } = options;
  const env = { ...goEnvironment(), GOBIN: dir, GOFLAGS: '-mod=mod' };
  execFileSync(go, ['install', `${MODULE}/cmd/scepserver@${VERSION}`], { env, cwd: dir, timeout: 300_000 });
  const program = join(dir, 'scepserver');
  const depot = join(dir, 'depot');
  execFileSync(program, ['ca', '-init', '-depot', depot, '-organization', 'bench', '-common_name', 'bench'], {
    cwd: dir,
  });
  const child = spawn(
    program,
    // It takes a port alone and listens on every address.
    ['-depot', depot, '-port', String(port), '-challenge', CHALLENGE, '-crtvalid', '365', '-allowrenew', '0'],
    { stdio: 'ignore', cwd: dir },
  );
  const url = `http://127.0.0.1:${port}/scep`;
  for (let tries = 0; ; tries += 1) {
    const up = await fetch(`${url}?operation=GetCACaps`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (up) break;
    if (tries > 100) throw new Error('The SCEP server did not start.');
    await sleep(100);
  }
  return {
    ...{ name: `micromdm/scep ${VERSION}`, url, pid: child.pid! },
    caPem: readFileSync(join(depot, 'ca.pem'), 'utf8'),
    stop: () => void child.kill('SIGTERM'),
  };
}
