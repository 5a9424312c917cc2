import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { readServiceToken, type ServiceToken } from '#fleet';
import { RunError } from './config.ts';
import { defaultHome, type Home, openHome, uidOf } from './home.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/**
 * Checks a content token of Apple Business Manager and hands it to core, which reads it at its next look. Written beside
 * and renamed, so that core never reads half of it. Throws `bad-request` or `expired`.
 */
export function installAppsToken(home: Home, text: string, now: number): ServiceToken {
  const token = readServiceToken(text);
  if (token.until <= now) throw new RunError('expired', 'This content token has run out. Download a new one.');
  const file = join(home.state('core'), 'apps-token');
  writeFileSync(`${file}.new`, token.text, { mode: 0o600 });
  const uid = uidOf('core');
  if (uid !== undefined) chownSync(`${file}.new`, uid, uid);
  renameSync(`${file}.new`, file);
  return token;
}

/** `bartizan apps token`. */
export function appsCommands(program: Command): void {
  const apps = program.command('apps').description('the licence service of Apple Business Manager (Apps and Books)');
  apps
    .command('token')
    .description('check a content token (sToken) and hand it to the running product; no restart')
    .argument('<file>', 'content token as downloaded from Apple Business Manager')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home = defaultHome() }: { home?: string }) => {
      let text: string;
      try {
        text = readFileSync(file, 'utf8');
      } catch (cause) {
        throw new RunError('usage', 'The file cannot be read.', { cause });
      }
      const token = installAppsToken(openHome(home), text, Date.now());
      say(`Installed for ${token.organisation}, valid until ${new Date(token.until).toISOString().slice(0, 10)}.`);
      say('Core asks the service within seconds; the page Apps shows what it answered.');
    });
}
