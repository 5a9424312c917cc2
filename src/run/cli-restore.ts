import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { emit } from '#log';
import { parseRestoreDrill, verifyRestoreDrill } from '#seal';
import { withBackupDoors } from './backup/doors.ts';
import { readRecovery } from './backup/settings.ts';
import { readCards } from './cards.ts';
import { RunError } from './config.ts';
import { defaultHome, openHome } from './home.ts';
import { rehearse } from './restore/rehearse.ts';
import { type RestoreOptions, restore } from './restore/restore.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

interface Given {
  readonly home?: string;
  readonly database: string;
  readonly ledger: string;
  readonly sealer: string;
  readonly fingerprint: string;
  readonly checkpoint?: string;
  readonly drill?: boolean;
  readonly report?: string;
}

function readKept(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new RunError('usage', 'The checkpoint cannot be read. Name the file that you kept.', { cause });
  }
}

async function run(given: Given): Promise<void> {
  const checkpoint = given.checkpoint === undefined ? undefined : readKept(given.checkpoint);
  const place = (path: string) => ({ kind: 'directory', path: resolve(path) }) as const;
  const options: Omit<RestoreOptions, 'home'> = {
    places: { database: place(given.database), ledger: place(given.ledger), sealer: place(given.sealer) },
    fingerprint: given.fingerprint,
    shares: await readCards(),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
  if (given.drill === true) {
    const report = await rehearse(options, say);
    const file = resolve(given.report ?? `restore-drill-${new Date(report.at).toISOString().slice(0, 10)}.json`);
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o644 });
    say(`Rehearsed in ${report.seconds} s: a decoy opened, and all that was restored is deleted again.`);
    say(`The signed report is ${file}. On the server: bartizan backup drilled ${file}`);
    return;
  }
  if (given.home === undefined)
    throw new RunError('usage', 'Name an empty --home to restore into, or rehearse with --drill.');
  const done = await restore({ ...options, home: given.home }, say);
  const day = (at: number) => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  say(
    `Restored in ${done.seconds.toFixed(0)} s. Database of ${day(done.chosen.database.at)} UTC, ledger of ${day(done.chosen.ledger.at)} UTC.`,
  );
  say(
    `The log came back with ${done.leaves} leaves of ${done.known} that are known, and goes on as ${done.log.split('+')[0]}.`,
  );
  if (done.leaves < done.known)
    say(
      `WARNING: ${done.known - done.leaves} leaves of the log are lost. What they said happened, and is in no entry any more.`,
    );
  if (given.checkpoint === undefined)
    say('WARNING: no --checkpoint was given, so nobody can say whether these are the newest backups that there were.');
  if (done.lostEvents > 0)
    say(`${done.lostEvents} events are in the log and not in the database: what happened between the two sets.`);
  say(
    'The directory is locked until two people lift it. Whoever was erased after the ledger’s set was made must be erased again.',
  );
  say(`Start it: bartizan start --home ${given.home}`);
}

/** Writes a rehearsal into the log of the installation that it was made for. */
async function record(file: string, home: string): Promise<void> {
  const where = openHome(home);
  const report = parseRestoreDrill(JSON.parse(readFileSync(file, 'utf8')));
  const { signature: _, v: __, op: ___, org, ...detail } = report;
  await withBackupDoors(where, async (doors) => {
    if (org !== doors.org || !verifyRestoreDrill(readRecovery(where).sign, report)) {
      throw new RunError(
        'usage',
        'This report was not signed by the recovery key of this installation. Nothing was recorded.',
      );
    }
    const { rowCount } = await doors.pool.query(
      `select from log.event where kind = 'backup.drilled' and body->'unmapped'->>'at' = $1`,
      [String(report.at)],
    );
    if (rowCount) throw new RunError('usage', 'This rehearsal is in the log already.');
    await emit(doors.pool, { kind: 'backup.drilled', actor: 'core', detail });
  });
  say(`Recorded: restored in ${report.seconds} s on ${new Date(report.at).toISOString().slice(0, 10)}.`);
}

/** `bartizan restore`, and `backup drilled`. */
export function restoreCommands(program: Command): void {
  program
    .command('restore')
    .description('restore an installation from its three backups, with three of the five cards on standard input')
    .requiredOption('--database <dir>', 'where the database’s sets are')
    .requiredOption('--ledger <dir>', 'where the ledger’s sets are')
    .requiredOption('--sealer <dir>', 'where the sealer’s sets are')
    .requiredOption('--fingerprint <text>', 'from the sheet that is kept with the cards')
    .option('--checkpoint <file>', 'the newest checkpoint of the log that anybody kept')
    .option('--home <dir>', 'an empty folder to restore into')
    .option('--drill', 'rehearse: restore into a folder that is thrown away, open a decoy, write a signed report')
    .option('--report <file>', 'where the report of a rehearsal goes')
    .action(run);
  program.commands
    .find((one) => one.name() === 'backup')!
    .command('drilled')
    .description('write a rehearsed restore into the log')
    .argument('<report>', 'the signed report')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home }: { home?: string }) => record(file, home ?? defaultHome()));
}
