import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { RunError } from './config.ts';
import { defaultHome, openHome } from './home.ts';
import { type InstanceOptions, ORIGINS } from './init.ts';
import { rosterAnew } from './roster-anew.ts';

/** What an operator does about the roster when nobody on it can act. */
export function rosterCommands(program: Command): void {
  program
    .command('roster')
    .description('the guards’ roster, when nobody on it can act any more')
    .command('anew')
    .description('make the roster anew with the recovery key that was pinned at the first start')
    .requiredOption('--key <file>', 'PEM of the private recovery key (Ed25519)')
    .requiredOption('--why <text>', 'why, 5 to 200 characters; it stays in the log for good')
    .option('--founders <n>', 'how many new administrators', '3')
    .option('--home <dir>', 'instance directory')
    .action(async (options: { key: string; why: string; founders: string; home?: string }) => {
      const founders = Number(options.founders);
      if (!Number.isInteger(founders) || founders < 2 || founders > 20) {
        throw new RunError('usage', 'Two founders are the least, twenty the most.');
      }
      const home = openHome(options.home ?? defaultHome());
      const file = join(home.dir, 'supervisor', 'instance.json');
      const { portBase } = JSON.parse(readFileSync(file, 'utf8')) as InstanceOptions;
      const made = await rosterAnew({
        ...{ home, glass: ORIGINS(portBase).glass, founders },
        ...{ key: readFileSync(options.key, 'utf8'), purpose: options.why },
      });
      for (const { admin, link } of made) process.stdout.write(`founder ${admin}: ${link}\n`);
    });
}
