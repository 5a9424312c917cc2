import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { RunError } from './config.ts';
import { defaultHome, isRoot, openHome } from './home.ts';
import { systemdUnits } from './units.ts';

/** `bartizan units`: systemd units for an instance, one per process. */
export function unitsCommand(program: Command, say: (line: string) => void): void {
  program
    .command('units')
    .description('write systemd units: one for the instance with its database, and a hardened one for each process')
    .requiredOption('--out <dir>', 'where to write them, such as /etc/systemd/system')
    .option('--home <dir>', 'instance directory')
    .argument('[start...]', 'what else to give to bartizan start, after --')
    .action((start: string[], { out, home }: { out: string; home?: string }) => {
      if (!isRoot()) throw new RunError('usage', 'Units give each process a user of its own: run this as root.');
      const units = systemdUnits(openHome(resolve(home ?? defaultHome())), { start });
      mkdirSync(out, { recursive: true });
      for (const [name, text] of units) {
        writeFileSync(join(out, name), text, { mode: 0o644 });
        say(join(out, name));
      }
      say('Then: systemctl daemon-reload && systemctl enable --now bartizan.service');
    });
}
