import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { alarmsFile, checkAlarms } from '#alarm';
import { RunError } from './config.ts';
import { defaultHome, type Home, openHome, uidOf } from './home.ts';

/** Checks a file of channels and gives it to courier, readable by courier alone. Throws RunError, AlarmError. */
export function setAlarms(home: Home, file: string): { channels: string[]; heartbeat: boolean } {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RunError('usage', 'The file cannot be read or is not JSON.', { cause });
  }
  const settings = checkAlarms(value);
  const to = alarmsFile(home.state('courier'));
  try {
    writeFileSync(`${to}.new`, JSON.stringify(settings), { mode: 0o600 });
    const uid = uidOf('courier');
    if (uid !== undefined) chownSync(`${to}.new`, uid, uid);
    renameSync(`${to}.new`, to);
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
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
