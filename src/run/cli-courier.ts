import type { Command } from 'commander';
import { checkSettings, settingsFile } from '#courier';
import { layDown, readGiven } from './give-settings.ts';
import { defaultHome, type Home, openHome } from './home.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Checks a file of gateway settings and gives it to courier, readable by courier alone. Throws RunError, CourierError. */
export function setGateways(home: Home, file: string): string[] {
  const settings = checkSettings(readGiven(file));
  layDown(settingsFile(home.state('courier')), settings, 'courier')();
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
