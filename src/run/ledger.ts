import { text } from 'node:stream/consumers';
import { BartizanError, processLogger, systemClock } from '#base';
import {
  cutLog,
  foundLedger,
  foundLedgerSearch,
  LEDGER_CALLERS,
  Ledger,
  ledgerDoors,
  ledgerSearchDoors,
  logOrigin,
  parseFounding,
  parseWriters,
  serveCaller,
  serveRemote,
} from '#guard';
import { parseRecoveryKey, parseRestored } from '#seal';
import { readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// The ledger: `--init --config FILE` founds it (founders on standard input, public keys as one JSON line on standard
// output), `--pin-writers` pins the writers of one from before they signed, `--init-search` makes its key of number search, `--config FILE`
// runs it. Exit status 74: the log is not usable and must not be started again blindly.
const logger = processLogger('ledger');
const config = readProcessConfig('ledger');
const credentials = process.env['CREDENTIALS_DIRECTORY'];
const common = {
  org: config.org,
  state: config.state,
  logDir: config.logDir,
  origin: config.origins.glass,
  caps: config.caps,
  clock: systemClock,
  logger,
  ...(credentials === undefined ? {} : { credentials }),
};

async function init(): Promise<void> {
  const { founders, writers, recovery } = parseFounding(await text(process.stdin));
  const keys = await foundLedger(common, founders, writers, recovery);
  process.stdout.write(`${JSON.stringify(keys)}\n`);
}

/** Pins the writers of a ledger from before they signed (keys on standard input). */
async function pin(): Promise<void> {
  const { writers, renew } = parseWriters(JSON.parse(await text(process.stdin)));
  const ledger = await Ledger.open({ ...common, onUnusable: () => {} });
  await ledger.pinWriters(writers, renew);
  await ledger.close();
}

/** Pins the recovery key of an installation that was founded without one. */
async function pinRecovery(): Promise<void> {
  const key = parseRecoveryKey(JSON.parse(await text(process.stdin)));
  const ledger = await Ledger.open({ ...common, onUnusable: () => {} });
  await ledger.pinRecovery(key);
  await ledger.close();
}

/** Takes up after a restore (what the recovery key signed, on standard input); says under which name the log goes on. */
async function restored(): Promise<void> {
  const statement = parseRestored(JSON.parse(await text(process.stdin)));
  const { state, logDir: folder, org } = config;
  // First, so that nothing more is signed under the old name. Whoever may do this has the whole folder in hand.
  const log = await cutLog({ state, folder, founded: logOrigin(org), at: statement.at });
  const ledger = await Ledger.open({ ...common, onUnusable: () => {} });
  const { size, coreSize } = ledger.status();
  await ledger.restored(statement);
  await ledger.close();
  process.stdout.write(`${JSON.stringify({ size, coreSize, log })}\n`);
}

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { publicKeys } = config;
  const search = config.search === undefined ? {} : { search: config.search };
  const release =
    publicKeys === undefined
      ? {}
      : { releaseKey: publicKeys.release, orgKey: publicKeys.inner, coreKey: publicKeys.core };
  let ledger: Ledger;
  try {
    ledger = await Ledger.open({ ...common, ...release, ...search, onUnusable: () => running.stop(74) });
  } catch (error) {
    logger.error(error instanceof BartizanError ? error.message : 'the log cannot be opened', error);
    running.stop(74);
    return;
  }
  running.onStop(() => ledger.close());
  const doors = {
    ...ledgerDoors(ledger),
    ...(ledger.search === undefined ? {} : ledgerSearchDoors(ledger.search)),
  };
  for (const caller of LEDGER_CALLERS) {
    const path = config.sockets.listen[caller];
    if (path === undefined) continue;
    const served = await serveCaller({ path, caller, doors, logger });
    running.onStop(() => served.close());
  }
  const clock = setInterval(() => void ledger.rememberTime().catch(() => {}), 10 * 60_000);
  running.onStop(() => clearInterval(clock));
  if (config.remote !== undefined) {
    const served = await serveRemote({ ...config.remote, callers: LEDGER_CALLERS, doors, clock: systemClock, logger });
    running.onStop(() => served.close());
  }
  running.ready();
  const { size, coreSize } = ledger.status();
  logger.info('the ledger is open', { size, coreSize });
}

const ONCE: ReadonlyMap<string, () => Promise<void>> = new Map([
  ['--init', init],
  ['--pin-writers', pin],
  ['--pin-recovery', pinRecovery],
  ['--restored', restored],
  ['--init-search', () => foundLedgerSearch(config.state)],
]);
const once = [...ONCE].find(([flag]) => process.argv.includes(flag))?.[1];
if (once !== undefined) {
  await once().catch((error: unknown) => {
    logger.error(error instanceof BartizanError ? error.message : 'the ledger cannot be founded', error);
    process.exitCode = 1;
  });
} else await run();
