import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { BartizanError } from '#base';
import { IDENTITY_KINDS, type IdentityKind, readAttestationRoots } from '#fleet';
import { WRITERS, type Writer } from '#seal';
import { type AccountOptions, setAccount } from './account.ts';
import { keepBackups } from './backup/keeper.ts';
import { checkCertificate } from './certificate.ts';
import { adeCommands } from './cli-ade.ts';
import { alertCommands } from './cli-alerts.ts';
import { appsCommands } from './cli-apps.ts';
import { backupCommands, readRecoveryFile } from './cli-backup.ts';
import { readCertificateSettings } from './cli-certificates.ts';
import { courierCommands } from './cli-courier.ts';
import { decoysCommands } from './cli-decoys.ts';
import { evidenceCommands } from './cli-evidence.ts';
import { hostsCommands } from './cli-hosts.ts';
import { gradeLine, keysCommands, keysReport } from './cli-keys.ts';
import { peopleCommands } from './cli-people.ts';
import { pushCommands, pushEndpoint, releaseFeed } from './cli-push.ts';
import { restoreCommands } from './cli-restore.ts';
import { rosterCommands } from './cli-roster.ts';
import { searchCommand } from './cli-search.ts';
import { settingsCommands } from './cli-settings.ts';
import { thirdCommand } from './cli-third.ts';
import { unitsCommand } from './cli-units.ts';
import { witnessCommands } from './cli-witness.ts';
import { RunError } from './config.ts';
import { demo } from './demo.ts';
import { addDrills } from './drill-command.ts';
import { defaultHome, openHome } from './home.ts';
import { importFleet, importLines } from './import-fleet.ts';
import { writeProof } from './log-proof.ts';
import { verifyLogDir } from './log-verify.ts';
import { buildPages } from './pages.ts';
import { readRecoveryKey } from './roster-anew.ts';
import { addSim } from './sim-command.ts';
import { importPeople } from './stage.ts';
import { lockHome, startProduct } from './supervisor.ts';
import { foundWriters } from './writers.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_000)
    throw new RunError('usage', `'${text}' is not a whole number in range.`);
  return value;
};

/** The command-line program; it runs only where this file is what was started. */
export const program = new Command('bartizan')
  .description('Self-hosted manager for staff phones that expects to be attacked')
  .showHelpAfterError();

program
  .command('start')
  .description('start the product and keep it running')
  .option('--home <dir>', 'instance directory')
  .option('--port-base <port>', 'console, glass, edge and SCIM listen on this port and the next three', number)
  .option('--org <id>', 'organisation id, lower case letters, digits, dots and hyphens (first start only)')
  .option('--founders <n>', 'how many founding admins (first start only)', number)
  .option('--recovery-key <file>', 'PEM of the Ed25519 public key that can make the roster anew (first start only)')
  .option('--edge-workers <n>', 'worker processes of the device plane; default: cores less one, at most 4', number)
  .addOption(
    new Option('--identity <kind>', 'the least that an enrolment asks for; kept for later starts').choices(
      IDENTITY_KINDS,
    ),
  )
  .option(
    '--attestation-root <file...>',
    'PEM of the root whose device attestations are believed; kept for later starts',
  )
  .option('--push-url <origin>', 'where APNs is; default: https://api.push.apple.com')
  .option('--push-ca <file>', 'PEM of the push service’s authority, if it is not a public one')
  .option('--os-releases-url <url>', 'where the list of system versions is read, such as https://gdmf.apple.com/v2/pmv')
  .option('--os-releases-ca <file>', 'PEM of the authority of that server (Apple’s own, for gdmf.apple.com)')
  .option('--recovery <file>', 'public half of the recovery key, pinned by both guards (first start only)')
  .option('--ledger-bundle <dir>', 'the ledger is on another host: what was prepared for this one (first start only)')
  .option('--by-systemd', 'prepare the instance and run its database; systemd runs the processes (see bartizan units)')
  .option('--certificates <file>', 'JSON: days of device certificates, signed profiles, where the CA’s key is')
  .action(
    async (options: {
      home?: string;
      portBase?: number;
      org?: string;
      founders?: number;
      recoveryKey?: string;
      edgeWorkers?: number;
      certificates?: string;
      recovery?: string;
      identity?: IdentityKind;
      attestationRoot?: string[];
      pushUrl?: string;
      pushCa?: string;
      osReleasesUrl?: string;
      osReleasesCa?: string;
      ledgerBundle?: string;
      bySystemd?: boolean;
    }) => {
      if (options.founders !== undefined && options.founders < 2)
        throw new RunError('usage', 'Two founders are the least: nothing that destroys runs with one.');
      await buildPages();
      const {
        home = defaultHome(),
        pushUrl,
        pushCa,
        attestationRoot,
        certificates,
        recovery,
        osReleasesUrl,
        osReleasesCa,
        recoveryKey,
        bySystemd = false,
        ...rest
      } = options;
      const attestationRoots = attestationRoot?.map((file) => readFileSync(file, 'utf8'));
      readAttestationRoots(attestationRoots ?? []);
      const push = pushEndpoint(pushUrl, pushCa);
      const settings = certificates === undefined ? {} : readCertificateSettings(certificates);
      const product = await startProduct({
        ...{ home, ...rest, ...settings },
        ...(recovery === undefined ? {} : { recovery: readRecoveryFile(recovery) }),
        ...(recoveryKey === undefined ? {} : { recovery: readRecoveryKey(recoveryKey) }),
        ...(bySystemd ? { processes: [] } : {}),
        ...(push === undefined ? {} : { push }),
        ...(osReleasesUrl === undefined ? {} : { releases: releaseFeed(osReleasesUrl, osReleasesCa) }),
        ...(attestationRoots === undefined ? {} : { attestationRoots }),
      });
      const backups = keepBackups(product, (line) => process.stderr.write(`${line}\n`));
      say(
        `Bartizan runs, level ${product.level}. PostgreSQL: ${product.postgresOrigin}. Instance: ${product.home.dir}`,
      );
      say(gradeLine(await keysReport(product.home)));
      for (const founder of product.founders) say(`founder ${founder.admin}: ${founder.link}`);
      say(product.urls.console);
      if (bySystemd) execFileSync('systemd-notify', ['--ready'], { stdio: 'inherit' });
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      await backups.close();
      await product.stop();
    },
  );

program
  .command('found-writers')
  .description('give an installation from before values were signed its writers’ keys, once, while it is stopped')
  .addOption(new Option('--renew <writer>', 'a new key for this writer instead').choices(WRITERS))
  .option('--home <dir>', 'instance directory')
  .action(async (options: { home?: string; renew?: Writer }) => {
    const home = openHome(options.home ?? defaultHome());
    const release = lockHome(home);
    try {
      await foundWriters(home, options.renew);
    } finally {
      release();
    }
    const whose =
      options.renew === undefined ? 'the keys of edge, intake and glass' : `the new key of ${options.renew}`;
    say(`The ledger has pinned ${whose}. Start Bartizan again.`);
  });

program
  .command('demo')
  .description('the product with an invented directory and 200 simulated phones')
  .option('--check', 'run the whole story unattended and judge it', false)
  .option('--reset', 'delete the demonstration’s data first', false)
  .option('--home <dir>', 'instance directory')
  .option('--port-base <port>', 'first of four ports', number)
  .option('--phones <n>', 'how many phones', number)
  .action(async (options) => {
    // All is closed by now; what was still waiting for a phone to answer would only keep the terminal.
    process.exit(await demo(options));
  });

addSim(program, say);

addDrills(program, say);
unitsCommand(program, say);

program
  .command('account')
  .description('let holders enrol their own devices by signing in at your identity provider (OpenID Connect)')
  .requiredOption('--issuer <url>', 'issuer, exactly as its discovery document says')
  .requiredOption('--client-id <id>', 'our client there; its redirect address is <edge>/account/signed-in')
  .option('--client-secret-file <file>', 'file with the client’s secret')
  .option('--account-claim <name>', 'claim with the Managed Apple Account', 'email')
  .option('--handle-claim <name>', 'claim with the person’s handle, if your provider knows it')
  .option(
    '--device-enrolment <kind...>',
    'kinds of devices that enrol whole, as the organisation’s: iPhone, iPad, or all',
  )
  .option('--home <dir>', 'instance directory')
  .action((options: AccountOptions & { home?: string }) => {
    const home = openHome(options.home ?? defaultHome());
    setAccount(home, options);
    say('Written. Restart Bartizan, then let your domain’s /.well-known/com.apple.remotemanagement lead to the edge.');
  });

program
  .command('import-fleet')
  .description('take devices over from NanoMDM or MicroMDM, so that none enrols anew')
  .argument('<source...>', 'its PostgreSQL (postgres://…), files with one JSON object a line, or folders of check-ins')
  .requiredOption('--ca <file>', 'the authority that issued the devices’ certificates, PEM')
  .option(
    '--profile <file>',
    'the enrolment profile that the old server gave them, so that their certificates can be renewed',
  )
  .option('--json', 'one JSON object', false)
  .option('--home <dir>', 'instance directory')
  .action(async (sources: string[], options: { ca: string; profile?: string; json: boolean; home?: string }) => {
    const report = await importFleet(openHome(options.home ?? defaultHome()), sources, options.ca, options.profile);
    if (options.json) say(JSON.stringify(report));
    else for (const line of importLines(report)) say(line);
    // Run again, it finds them all known: that is success.
    if (report.imported + (report.leftOut['known-already']?.length ?? 0) === 0) process.exitCode = 1;
  });

program
  .command('import')
  .description('seal a CSV file of people into the directory of the running product')
  .argument('<file>', 'CSV with header given_name,family_name,email,mobile,unit,member_state')
  .option('--home <dir>', 'instance directory')
  .action(async (file: string, { home = defaultHome() }: { home?: string }) => {
    let csv: string;
    try {
      csv = readFileSync(file, 'utf8');
    } catch (cause) {
      throw new RunError('usage', 'The file cannot be read.', { cause });
    }
    const handles = await importPeople({ home: openHome(home) }, csv);
    say(`${handles.length} people are sealed. Their handles:`);
    for (const handle of handles) say(handle);
  });

pushCommands(program);
backupCommands(program);
restoreCommands(program);
thirdCommand(program, say);
alertCommands(program, say);
decoysCommands(program);
courierCommands(program);
appsCommands(program);
adeCommands(program);
settingsCommands(program);
keysCommands(program);
rosterCommands(program);
hostsCommands(program, say);
peopleCommands(program);
searchCommand(program);
witnessCommands(program);
evidenceCommands(program);

const log = program.command('log').description('the transparency log');
log
  .command('verify')
  .description('re-derive every entry and proof')
  .argument('<dir>', 'folder of the log, such as <home>/ledger/log')
  .option('--key <verifier>', 'C2SP verifier key; default: the installation’s public keys beside the folder')
  .option('--json', 'one JSON object', false)
  .action(async (dir: string, options: { key?: string; json: boolean }) => {
    const verifierKey = options.key ?? keyBeside(dir);
    const report = await verifyLogDir(dir, { verifierKey });
    if (options.json) say(JSON.stringify(report));
    else {
      for (const { path, problem } of report.problems) say(`${path}: ${problem}`);
      say(report.ok ? `${report.entries} entries re-derived, root ${report.root}` : 'the log does NOT verify');
    }
    process.exitCode = report.ok ? 0 : 1;
  });

log
  .command('proof')
  .description('write the proof that an entry is in the log (C2SP tlog-proof), for bartizan-verify proof')
  .argument('<dir>', 'folder of the log, such as <home>/ledger/log')
  .argument('<index>', 'which entry, from 0')
  .requiredOption('--out <path>', 'writes <path>.tlog-proof and <path>.entry')
  .option('--checkpoint <file>', 'under this checkpoint, such as a cosigned one; default: the present one')
  .action(async (dir: string, index: string, options: { out: string; checkpoint?: string }) => {
    const { entries } = await writeProof(dir, index, options);
    say(`Entry ${index} of ${entries}: ${options.out}.tlog-proof, and its bytes in ${options.out}.entry.`);
  });

log
  .command('certificate')
  .description('check an erasure certificate, or a sheet of who looked at somebody’s data')
  .argument('<file>', 'as the person’s page in the console saved it')
  .requiredOption(
    '--key <verifier>',
    'C2SP verifier key of the log (`log` in public/keys.json), from whoever you trust for it',
  )
  .option('--json', 'one JSON object', false)
  .action((file: string, options: { key: string; json: boolean }) => {
    const certified = checkCertificate(file, options.key);
    if (options.json) say(JSON.stringify(certified));
    else {
      for (const { leaf, time, what, admin, purpose, proven } of certified.lines)
        say(`${proven ? 'proven    ' : 'NOT PROVEN'} entry ${leaf}, ${time}: ${what} by ${admin}, “${purpose}”`);
      say(certified.proven ? `the log says so of ${certified.handle}` : 'this does NOT verify');
    }
    process.exitCode = certified.proven ? 0 : 1;
  });

function keyBeside(dir: string): string {
  try {
    return (JSON.parse(readFileSync(join(dir, '..', '..', 'public', 'keys.json'), 'utf8')) as { log: string }).log;
  } catch (cause) {
    throw new RunError(
      'usage',
      'Say with --key whose log this is: the verifier key from the installation’s public/keys.json.',
      { cause },
    );
  }
}

if (import.meta.main) {
  for (const name of Object.keys(process.env).filter((one) => one.startsWith('BARTIZAN_'))) {
    if (name === 'BARTIZAN_TEST_PG') continue;
    process.stderr.write(
      `Unknown setting ${name} in the environment. Bartizan takes its settings from the command line.\n`,
    );
    process.exit(2);
  }
  try {
    await program.parseAsync();
  } catch (error) {
    process.stderr.write(
      `${error instanceof BartizanError ? error.message : 'Something failed on our side. Nothing was changed.'}\n`,
    );
    if (error instanceof BartizanError && error.cause instanceof Error && process.env['DEBUG'] === 'bartizan')
      process.stderr.write(`${error.cause.stack}\n`);
    process.exitCode = 1;
  }
}
