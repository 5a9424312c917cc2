import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { fromBase64url, sha256 } from '#base';
import { unitFits } from '#people';
import type { PublicKeys } from '#seal';
import { RunError } from './config.ts';
import { defaultHome, openHome } from './home.ts';
import { pushPeople } from './people-push.ts';
import { type PeopleSettings, setPeopleSettings } from './people-settings.ts';
import { withDatabase } from './push.ts';
import { addToken, listTokens, revokeToken } from './scim-tokens.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);
const day = (at: number) => new Date(at).toISOString().slice(0, 10);

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RunError('usage', `The file ${path} cannot be read.`, { cause });
  }
};

/** `bartizan people …`: who may push people, what counts as a number, and how units are called. */
export function peopleCommands(program: Command): void {
  const people = program.command('people').description('how people come into the directory');
  const token = people
    .command('token')
    .description('tokens with which an identity provider or HR system pushes people');
  token
    .command('add')
    .description('make a token; it is shown once')
    .argument('<source>', 'whose people these are, such as entra; tokens of one source may overlap')
    .option('--days <n>', 'how long it counts', Number, 180)
    .option('--home <dir>', 'instance directory')
    .action((source: string, { days, home = defaultHome() }: { days: number; home?: string }) => {
      const made = addToken(openHome(home), source, days);
      say(`token ${made.id} for ${source}, ${days} days. Shown once:`);
      say(made.token);
    });
  token
    .command('list')
    .description('tokens by id, source and end')
    .option('--home <dir>', 'instance directory')
    .action(({ home = defaultHome() }: { home?: string }) => {
      for (const one of listTokens(openHome(home))) say(`${one.id}  ${one.source}  until ${day(one.notAfter)}`);
    });
  token
    .command('revoke')
    .description('end a token; it is refused from the next request on')
    .argument('<id>', 'as `list` shows it')
    .option('--home <dir>', 'instance directory')
    .action((id: string, { home = defaultHome() }: { home?: string }) => {
      revokeToken(openHome(home), id);
      say(`token ${id} counts no more`);
    });

  people
    .command('keys')
    .description('the mark of this installation’s ledger, to compare with what glass shows before an import')
    .option('--home <dir>', 'instance directory')
    .action(({ home = defaultHome() }: { home?: string }) => {
      const { ledger } = JSON.parse(readText(join(openHome(home).dir, 'public', 'keys.json'))) as PublicKeys;
      const hex = sha256(fromBase64url(ledger)).subarray(0, 16).toString('hex');
      say(hex.match(/.{4}/g)!.join(' '));
    });

  people
    .command('settings')
    .description('what counts as a mobile number, and where SCIM is reached; holds from the next start')
    .option('--region <country>', 'ISO 3166-1 alpha-2: of national numbers where no country is known')
    .addOption(new Option('--landlines <what>', 'numbers of fixed lines').choices(['refuse', 'accept']))
    .addOption(new Option('--unknown <what>', 'possible numbers of unknown ranges').choices(['refuse', 'accept']))
    .option('--scim-url <url>', 'where providers reach SCIM, such as https://scim.example.org/scim/v2')
    .option('--home <dir>', 'instance directory')
    .action(({ home = defaultHome(), ...change }: PeopleSettings & { home?: string }) => {
      const now = setPeopleSettings(openHome(home), change);
      say(`region: ${now.region ?? 'none'}`);
      say(`landlines: ${now.landlines ?? 'refuse'}`);
      say(`unknown ranges: ${now.unknown ?? 'accept'}`);
      say(`SCIM: ${now.scimUrl ?? 'this machine only'}`);
      say('This holds from the next start.');
    });

  people
    .command('units')
    .description('groups that a provider pushed, by id; their names are not kept here')
    .option('--home <dir>', 'instance directory')
    .action(async ({ home = defaultHome() }: { home?: string }) => {
      const groups = await withDatabase(openHome(home), async (pool) => {
        const { rows } = await pool.query<{ id: string; source: string; unit: string | null }>(
          'select id, source, unit from people.scim_group order by created_at, id',
        );
        return rows;
      });
      for (const { id, source, unit } of groups) say(`${id}  ${source}  ${unit ?? `group-${id.slice(-8)}`}`);
    });
  people
    .command('unit')
    .description('say how the unit of a pushed group is called in the console')
    .argument('<group>', 'id, as `units` shows it')
    .argument('<name>', 'at most 64 characters, in the clear')
    .option('--home <dir>', 'instance directory')
    .action(async (group: string, name: string, { home = defaultHome() }: { home?: string }) => {
      if (!/^[0-9a-f-]{36}$/.test(group) || !unitFits(name)) {
        throw new RunError('usage', 'Give a group’s id and a name without addresses and numbers.');
      }
      const known = await withDatabase(openHome(home), async (pool) => {
        const { rows } = await pool.query<{ known: boolean }>('select people.name_group($1, $2) as known', [
          group,
          name,
        ]);
        return rows[0]!.known;
      });
      if (!known) throw new RunError('usage', 'There is no such group.');
      say('Named.');
    });

  people
    .command('push')
    .description('read LDIF or CSV on the machine where people are kept, and push it to a SCIM address')
    .argument('<file>', 'LDIF (such as ldapsearch writes), or CSV with the column external_id')
    .requiredOption('--to <url>', 'such as https://scim.example.org/scim/v2')
    .requiredOption('--token-file <file>', 'file whose first line is the token')
    .option('--suspend-missing <file>', 'file of external ids of the last push: who is missing now is set inactive')
    .action(async (file: string, options: { to: string; tokenFile: string; suspendMissing?: string }) => {
      const known = options.suspendMissing === undefined ? undefined : options.suspendMissing;
      const report = await pushPeople({
        ...{ text: readText(file), to: options.to, token: readText(options.tokenFile).split(/\r?\n/)[0]!.trim() },
        ...(known === undefined ? {} : { ledger: known }),
      });
      say(
        `${report.created} new, ${report.changed} changed, ${report.suspended} set inactive, ${report.refused.length} refused`,
      );
      for (const { line, code } of report.refused.slice(0, 50)) say(`line ${line}: ${code}`);
      if (report.refused.length > 0) process.exitCode = 1;
    });
}
