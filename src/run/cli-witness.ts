import type { Command } from 'commander';
import { foundWitness, Memory, readSigners } from '#witness';
import { runWitness } from './witness.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** `bartizan witness init|add-log|run|status`. */
export function witnessCommands(program: Command): void {
  const witness = program
    .command('witness')
    .description('watch somebody else’s log and cosign what only grows (C2SP tlog-witness); for another machine');
  witness
    .command('init')
    .description('make a witness: its name and its keys, Ed25519 and ML-DSA-44')
    .requiredOption('--dir <dir>', 'folder for its keys and its memory')
    .requiredOption('--name <name>', 'like an address without its scheme, such as witness.example/w1')
    .action(({ dir, name }: { dir: string; name: string }) => {
      for (const key of foundWitness(dir, name).verifiers) say(key);
    });
  witness
    .command('add-log')
    .description('take on a log by its verifier key (`log` in public/keys.json of the installation), before run')
    .argument('<key>', 'C2SP verifier key of the log')
    .requiredOption('--dir <dir>', 'folder of the witness')
    .action((key: string, { dir }: { dir: string }) => {
      readSigners(dir);
      const { origin, newest } = Memory.open(dir).add(key);
      say(`${origin} is known now, cosigned up to entry ${newest.size}. Start the witness again if it runs.`);
    });
  witness
    .command('run')
    .description('answer POST /add-checkpoint')
    .requiredOption('--dir <dir>', 'folder of the witness')
    .option('--listen <host:port>', 'where it answers', '127.0.0.1:8450')
    .option('--tls-cert <file>', 'PEM of its certificate chain; without it, put a TLS server before it')
    .option('--tls-key <file>', 'PEM of the certificate’s key')
    .action((options: { dir: string; listen: string; tlsCert?: string; tlsKey?: string }) => runWitness(options));
  witness
    .command('status')
    .description('its keys, and up to where it cosigned each log')
    .requiredOption('--dir <dir>', 'folder of the witness')
    .option('--json', 'one JSON object', false)
    .action(({ dir, json }: { dir: string; json: boolean }) => {
      const { name, verifiers } = readSigners(dir);
      const logs = Memory.open(dir).logs.map(({ origin, keys, newest }) => ({
        ...{ origin, keys, size: newest.size, root: newest.root.toString('base64') },
      }));
      if (json) say(JSON.stringify({ name, verifiers, logs }));
      else {
        for (const key of verifiers) say(`witness ${key}`);
        for (const { origin, size } of logs) say(`log ${origin}: cosigned up to entry ${size}`);
        if (logs.length === 0) say('no log: take one on with bartizan witness add-log');
      }
    });
}
