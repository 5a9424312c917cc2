import type { Command } from 'commander';
import { alarmsFile, checkAlarms } from '#alarm';
import { layDown, readGiven } from './give-settings.ts';
import { defaultHome, type Home, openHome } from './home.ts';

/** Checks a file of channels and gives it to courier, readable by courier alone. Throws RunError, AlarmError. */
export function setAlarms(home: Home, file: string): { channels: string[]; heartbeat: boolean } {
  const settings = checkAlarms(readGiven(file));
  layDown(alarmsFile(home.state('courier')), settings, 'courier')();
  return { channels: settings.channels.map(({ name }) => name), heartbeat: settings.heartbeat !== undefined };
}

/** `bartizan alerts set`. */
export function alertCommands(program: Command, say: (line: string) => void): void {
  program
    .command('alerts')
    .description('where alerts go')
    .command('set')
    .description('check a file of channels and give it to courier; no restart')
    .argument('<file>', 'JSON with channels and heartbeat; see docs/alerts.md')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home = defaultHome() }: { home?: string }) => {
      const { channels, heartbeat } = setAlarms(openHome(home), file);
      say(`Alerts go to: ${channels.length === 0 ? 'nobody' : channels.join(', ')}. Courier uses this within seconds.`);
      if (!heartbeat) say('No heartbeat is set: nobody outside notices if everything here stops.');
      say('The file that you gave still holds the secrets; delete it if nobody needs it.');
    });
}
