import type { Command } from 'commander';
import { RunError } from './config.ts';
import { defaultHome, openHome } from './home.ts';
import { setSearch } from './search-settings.ts';

interface Given {
  readonly names?: string;
  readonly numbers?: string;
  readonly home?: string;
}

function hours(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (given === 'off') return 0;
  if (!/^[1-9][0-9]{0,2}$/.test(given)) throw new RunError('usage', 'Give the hours, from 1 to 168, or off.');
  return Number(given);
}

/** `bartizan search`: what can be searched at all. Two people open it after that, on glass. */
export function searchCommand(program: Command): void {
  program
    .command('search')
    .description('what administrators can search by, once two of them have opened it; off until it is switched on')
    .option('--names <hours>', 'names in the sealer’s memory, open for at most so many hours; or off')
    .option('--numbers <hours>', 'whole numbers by tags, indexed for at most so many hours; or off')
    .option('--home <dir>', 'instance directory')
    .action(({ names, numbers, home = defaultHome() }: Given) => {
      const [name, number] = [hours(names), hours(numbers)];
      const now = setSearch(openHome(home), {
        ...(name === undefined ? {} : { name }),
        ...(number === undefined ? {} : { number }),
      });
      const line = (one: { hours: number } | undefined) => (one === undefined ? 'off' : `at most ${one.hours} hours`);
      process.stdout.write(`names: ${line(now.name)}\nnumbers: ${line(now.number)}\nThis holds from the next start.\n`);
    });
}
