import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { checkSettings, settingsFile } from '#courier';
import { RunError } from './config.ts';
import { defaultHome, type Home, openHome, uidOf } from './home.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Checks a file of gateway settings and gives it to courier, readable by courier alone. Throws RunError, CourierError. */
export function setGateways(home: Home, file: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RunError('usage', 'The file cannot be read or is not JSON.', { cause });
  }
  const settings = checkSettings(value);
  const to = settingsFile(home.state('courier'));
  try {
    writeFileSync(`${to}.new`, JSON.stringify(settings), { mode: 0o600 });
    const uid = uidOf('courier');
    if (uid !== undefined) chownSync(`${to}.new`, uid, uid);
    renameSync(`${to}.new`, to);
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
  return [...(settings.sms === undefined ? [] : ['SMS']), ...(settings.mail === undefined ? [] : ['e-mail'])];
}

/** `bartizan courier set`. */
export function courierCommands(program: Command): void {
  program
    .command('courier')
    .description('how messages reach people: the gateways for SMS and e-mail')
    .command('set')
    .description('check a file of gateway settings and give it to courier; no restart')
    .argument('<file>', 'JSON with sms, mail or both; see docs/courier.md')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home = defaultHome() }: { home?: string }) => {
      const ways = setGateways(openHome(home), file);
      say(`Courier uses this within seconds: ${ways.length === 0 ? 'no gateway' : ways.join(' and ')}.`);
      say('The file that you gave still holds the passwords; delete it if nobody needs it.');
    });
}
