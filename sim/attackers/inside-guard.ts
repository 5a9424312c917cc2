/**
 * Attacker's code inside a guard, as after a fault in it: loaded into the real process, it tries to carry out of it what the guard
 * holds. It writes what it managed into the file that its environment cannot name: `way-out.json` in the guard's own state.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

const configFile = process.argv[process.argv.indexOf('--config') + 1];
if (configFile !== undefined && existsSync(configFile)) {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as { state: string };
  const go = join(config.state, 'way-out.go');
  const timer = setInterval(() => {
    if (!existsSync(go)) return;
    clearInterval(timer);
    void (async () => {
      const ports = JSON.parse(readFileSync(go, 'utf8')) as { listening: number };
      const report = {
        loopback: await reach({ host: '127.0.0.1', port: ports.listening }),
        outside: await reach({ host: '192.0.2.1', port: 443 }),
        abstract: await reach({ path: `\0bartizan-drill-${ports.listening}` }),
        interfaces: Object.keys(networkInterfaces()).length,
        becameRoot: attempt(() => process.setuid?.(0)),
        otherGroup: attempt(() => process.setgroups?.([0])),
        setuidProgram: attempt(() =>
          execFileSync('/usr/bin/su', ['-c', 'id', 'root'], { stdio: 'pipe', timeout: 2_000 }),
        ),
        listened: await new Promise<boolean>((resolve) => {
          const server = createServer().listen(0, '127.0.0.1', () => server.close(() => resolve(true)));
          server.on('error', () => resolve(false));
        }),
      };
      writeFileSync(join(config.state, 'way-out.json'), JSON.stringify(report));
    })();
  }, 50);
  timer.unref();
}

function attempt(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

function reach(where: { host: string; port: number } | { path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where as { path: string });
    const end = (got: boolean) => {
      socket.destroy();
      resolve(got);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    setTimeout(() => end(false), 1_000);
  });
}
