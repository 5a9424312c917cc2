import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { RunError } from './config.ts';
import { defaultHome, ledgerDoor, openHome } from './home.ts';
import { parseAddress, prepareHosts, renewHosts } from './hosts.ts';
import { ledgerCertificateDays, startLedgerHost } from './ledger-host.ts';
import { installFirstHost, installLedgerHost, removeCaller } from './two-hosts.ts';

const DAYS = 365;

const days = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 3_650)
    throw new RunError('usage', `'${text}' is not a number of days from 1 to 3650.`);
  return value;
};

/** `bartizan hosts …` and `bartizan ledger`: the ledger on a host of its own (docs/two-hosts.md). */
export function hostsCommands(program: Command, say: (line: string) => void): void {
  const hosts = program.command('hosts').description('the ledger on another host: its certificates');
  hosts
    .command('prepare')
    .description('make the authority and the bundles for both hosts, once; best on a machine that is neither')
    .argument('<folder>', 'new folder for the three parts')
    .requiredOption('--ledger <address>', 'IP address and port of the ledger’s host, such as 10.0.0.2:8450')
    .option('--days <n>', 'how long the certificates hold', days, DAYS)
    .action((folder: string, options: { ledger: string; days: number }) => {
      prepareHosts(folder, parseAddress(options.ledger), { days: options.days, now: Date.now() });
      say(`${join(folder, 'ledger-host')}: carry it to the ledger’s host, then there: bartizan ledger --bundle …`);
      say(`${join(folder, 'first-host')}: carry it to the first host, then there: bartizan start --ledger-bundle …`);
      say(
        `${join(folder, 'authority')}: keep it offline; it is needed to renew the certificates, within ${options.days} days`,
      );
    });
  hosts
    .command('renew')
    .description('new certificates from the same authority; the old ones hold until their end')
    .argument('<folder>', 'the folder that was prepared')
    .option('--days <n>', 'how long the certificates hold', days, DAYS)
    .action((folder: string, options: { days: number }) => {
      renewHosts(folder, { days: options.days, now: Date.now() });
      say('Install the bundles: first on the ledger’s host, then on the first host. Nothing has to be restarted.');
    });
  hosts
    .command('install')
    .description('put a renewed bundle in its place, on either host')
    .argument('<bundle>', 'folder ledger-host or first-host')
    .option('--home <dir>', 'instance directory')
    .action((bundle: string, { home: dir = defaultHome() }: { home?: string }) => {
      const home = openHome(dir);
      if (!existsSync(ledgerDoor(home)))
        throw new RunError(
          'usage',
          'Nothing is installed in this --home. Use --bundle or --ledger-bundle at the first start.',
        );
      if (existsSync(join(bundle, 'ledger.key'))) installLedgerHost(home, bundle);
      else installFirstHost(home, bundle);
      say('Installed. New connections use it.');
    });
  hosts
    .command('remove')
    .description('on the ledger’s host: a caller’s certificates count no longer, from this second on')
    .argument('<caller>', 'sealer, core, console, glass, intake')
    .option('--home <dir>', 'instance directory')
    .action((caller: string, { home: dir = defaultHome() }: { home?: string }) => {
      removeCaller(openHome(dir), caller);
      say(`${caller} is no caller any more. Renew and install bundles to admit it again.`);
    });
  program
    .command('ledger')
    .description('run the ledger alone, on a host of its own, for a Bartizan on another host')
    .option('--home <dir>', 'instance directory')
    .option('--bundle <dir>', 'what was prepared for this host (first start only)')
    .option('--listen <ip>', 'address to listen on, if not the one that the first host calls')
    .action(async ({ home = defaultHome(), bundle, listen }: { home?: string; bundle?: string; listen?: string }) => {
      const host = await startLedgerHost({
        ...{ home, say },
        ...(bundle === undefined ? {} : { bundle }),
        ...(listen === undefined ? {} : { listen }),
      });
      const left = ledgerCertificateDays(host.home, Date.now());
      say(
        `Bartizan's ledger runs, level L2 with the first host, on ${host.address.host} port ${host.address.port}. Instance: ${host.home.dir}`,
      );
      say(`Its certificate holds for ${left} days.`);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      await host.stop();
    });
}
