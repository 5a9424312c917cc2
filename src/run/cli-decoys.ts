import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Command } from 'commander';
import pg from 'pg';
import { checkInbound, inboundFile } from '#edge';
import { joinedHandle, readIntakeSecrets } from '#intake';
import type { PublicKeys } from '#seal';
import { adminOf } from './bait.ts';
import { RunError } from './config.ts';
import { defaultHome, type Home, openHome, uidOf } from './home.ts';
import { layBait } from './lay-bait.ts';
import { importPeople } from './stage.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

interface Marked {
  readonly address: readonly string[];
  readonly handle?: string;
  readonly source?: string;
  readonly userName?: string;
  readonly home?: string;
}

/** Finds who came from a source under this name, as intake knows them: by a keyed hash. Throws RunError. */
async function handleOf(home: Home, source: string | undefined, userName: string | undefined): Promise<string> {
  if (source === undefined || userName === undefined)
    throw new RunError('usage', 'Say who it is: --handle, or --source with --user-name.');
  const keys = JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as PublicKeys;
  const client = new pg.Client(adminOf(home));
  try {
    await client.connect();
    return await joinedHandle(client, readIntakeSecrets(home.state('intake'), keys.intake), source, userName);
  } finally {
    await client.end();
  }
}

/** Posts JSON to intake's socket for the operator. Throws RunError with what intake says. */
export function askIntake(home: Home, path: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const no = (cause?: unknown) =>
      reject(new RunError('start-failed', 'Intake did not take it. Is Bartizan running?', { cause }));
    const call = request(
      {
        ...{ socketPath: home.socket('intake', 'operator'), path, method: 'POST' },
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume();
        response.on('end', () => (response.statusCode === 200 ? resolve() : no(response.statusCode)));
      },
    );
    call.on('error', no);
    call.end(body);
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new RunError('usage', 'The file cannot be read.', { cause });
  }
}

/** Gives edge the settings by which it knows the provider of canary numbers; holds from edge's next start. Throws RunError. */
export function setInbound(home: Home, text: string): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RunError('usage', 'The file is not JSON.', { cause });
  }
  const settings = checkInbound(value);
  const to = inboundFile(home.state('edge'));
  try {
    writeFileSync(`${to}.new`, JSON.stringify(settings), { mode: 0o600 });
    const uid = uidOf('edge');
    if (uid !== undefined) chownSync(`${to}.new`, uid, uid);
    renameSync(`${to}.new`, to);
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
}

/** `bartizan decoys bait` and `bartizan decoys canary add|inbound`. */
export function decoysCommands(program: Command): void {
  const decoys = program
    .command('decoys')
    .description('people, addresses and credentials that are there for thieves only');
  decoys
    .command('bait')
    .description('write a file with a login and a token whose use is an alarm; leave it where a thief looks')
    .argument('<file>', 'where to write it; an earlier bait stops to work')
    .requiredOption('--role <name>', 'the database login that it holds, such as hr_reports')
    .option('--home <dir>', 'instance directory')
    .action(async (file: string, { role, home = defaultHome() }: { role: string; home?: string }) => {
      const text = await layBait(openHome(home), role);
      try {
        writeFileSync(file, text, { mode: 0o644, flag: 'wx' });
      } catch (cause) {
        throw new RunError('usage', 'The file cannot be written, or is there already. Nothing holds this bait now.', {
          cause,
        });
      }
      say(
        'Written. Name the file and the login as they are named at your place: this program’s texts are known to thieves.',
      );
    });
  const canary = decoys
    .command('canary')
    .description('decoys whose numbers and mailboxes are your own: a call to one proves a leak');
  canary
    .command('add')
    .description('seal decoys with live addresses into the directory of the running product')
    .argument('<file>', 'CSV as for “bartizan import”; every number and mailbox in it is yours')
    .option('--home <dir>', 'instance directory')
    .action(async (file: string, { home = defaultHome() }: { home?: string }) => {
      const handles = await importPeople({ home: openHome(home) }, readText(file), '/canaries');
      say(`${handles.length} canaries are in the directory. Nothing but the ledger tells them from the others:`);
      say('delete the file, and write their handles down nowhere.');
    });
  canary
    .command('mark')
    .description('make a canary of somebody invented who came from your directory like everybody else')
    .requiredOption('--address <address...>', 'numbers and mailboxes of theirs, which are yours')
    .option('--handle <handle>', 'who it is, if you know the handle')
    .option('--source <source>', 'the source that pushed them by SCIM')
    .option('--user-name <name>', 'their user name at that source')
    .option('--home <dir>', 'instance directory')
    .action(async ({ address, handle, source, userName, home: dir = defaultHome() }: Marked) => {
      const home = openHome(dir);
      const who = handle ?? (await handleOf(home, source, userName));
      await askIntake(home, '/canaries/mark', JSON.stringify({ handle: who, addresses: address }));
      say('The ledger knows. Write it down nowhere else.');
    });
  canary
    .command('inbound')
    .description('let the provider of your canary numbers and mailboxes tell the device plane of calls')
    .argument('<file>', 'JSON: secret, and how the provider signs; see docs/decoys.md')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home = defaultHome() }: { home?: string }) => {
      setInbound(openHome(home), readText(file));
      say('Written. Restart Bartizan, then give the provider the address <edge>/hooks/inbound.');
    });
}
