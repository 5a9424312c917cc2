import { text } from 'node:stream/consumers';
import { BartizanError, processLogger, systemClock } from '#base';
import {
  foundSealer,
  foundSealerSearch,
  parseRoster,
  SEALER_CALLERS,
  Sealer,
  sealerDoors,
  sealerSearchDoors,
  serveCaller,
  wrapKeys,
} from '#guard';
import { guardClient, parseRecoveryKey, parseRestored } from '#seal';
import { type ProcessConfig, RunError, readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// The sealer: `--init --config FILE` makes the organisation's key (founders on standard input, the public key as one
// JSON line on standard output), `--init-search` makes its keys of search, `--config FILE` runs it.
/** How soon shares that people bring are taken up. */
const TEND_MS = 1_000;
const logger = processLogger('sealer');
const config = readProcessConfig('sealer');

function openSealer({ org, state, origins, caps, sockets, publicKeys, keys, search }: ProcessConfig): Sealer {
  if (publicKeys === undefined || sockets.ledger === undefined) {
    throw new RunError('config', 'The sealer needs the public keys and its socket of the ledger.');
  }
  const ledger = guardClient(sockets.ledger, { name: 'ledger' });
  const origin = origins.glass;
  const { ledger: ledgerKey, release: releaseKey, courier: courierKey, core: coreKey } = publicKeys;
  const credentials = process.env['CREDENTIALS_DIRECTORY'];
  return new Sealer({
    ...{ org, state, origin, caps, clock: systemClock, logger, ledgerKey, ledger, releaseKey, coreKey },
    ...(courierKey === undefined ? {} : { courierKey }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(keys === undefined ? {} : { keySource: keys.next }),
    ...(sockets.keeper === undefined ? {} : { keeper: guardClient(sockets.keeper, { name: 'keeper of keys' }) }),
    ...(search === undefined ? {} : { search }),
  });
}

async function init(): Promise<void> {
  const { founders, recovery } = parseRoster(await text(process.stdin));
  const keys = await foundSealer(config.state, founders, recovery);
  process.stdout.write(`${JSON.stringify(keys)}\n`);
}

/** Pins the recovery key of an installation that was founded without one, and wraps the organisation's key to it. */
async function pinRecovery(): Promise<void> {
  await openSealer(config).pinRecovery(parseRecoveryKey(JSON.parse(await text(process.stdin))));
}

/** Takes up after a restore (what the recovery key signed, on standard input). The organisation's key lies there already. */
async function restored(): Promise<void> {
  await openSealer(config).restored(parseRestored(JSON.parse(await text(process.stdin))));
}

async function run(): Promise<void> {
  const running = runProcess(logger);
  let sealer: Sealer;
  let search: Awaited<ReturnType<Sealer['openSearch']>>;
  try {
    sealer = openSealer(config);
    search = await sealer.openSearch();
  } catch (error) {
    logger.error(error instanceof BartizanError ? error.message : 'the sealer cannot be opened', error);
    running.stop(74);
    return;
  }
  running.onStop(() => sealer.close());
  const { recovery } = sealer.gate.state;
  if (recovery !== undefined) await wrapKeys(config.state, recovery);
  if (search !== undefined) running.onStop(async () => search.close());
  const doors = { ...sealerDoors(sealer), ...(search === undefined ? {} : sealerSearchDoors(search)) };
  for (const caller of SEALER_CALLERS) {
    const path = config.sockets.listen[caller];
    if (path === undefined) continue;
    const served = await serveCaller({ path, caller, doors, logger });
    running.onStop(() => served.close());
  }
  // What glass did not get to say: the sealer asks for it.
  const follow = setInterval(() => void sealer.tick().catch(() => {}), 10_000);
  running.onStop(() => clearInterval(follow));
  running.ready();
  // The key's source may have to be asked again: people bring shares, key services come back.
  let tending = false;
  const tend = setInterval(() => {
    if (tending) return;
    tending = true;
    sealer
      .tend()
      .catch((error: unknown) => logger.error('the organisation’s key could not be tended', error))
      .finally(() => {
        tending = false;
      });
  }, TEND_MS);
  tend.unref();
  running.onStop(() => clearInterval(tend));
  // Reveals ask again by themselves if the ledger is not there yet.
  sealer.sync().then(
    () => logger.info('the sealer is open'),
    () => logger.warn('the ledger cannot be reached yet; nothing is opened until it can'),
  );
}

const ONCE: ReadonlyMap<string, () => Promise<void>> = new Map([
  ['--init', init],
  ['--pin-recovery', pinRecovery],
  ['--restored', restored],
  ['--init-search', () => foundSealerSearch(config.state)],
]);
const once = [...ONCE].find(([flag]) => process.argv.includes(flag))?.[1];
if (once !== undefined) {
  await once().catch((error: unknown) => {
    logger.error(error instanceof BartizanError ? error.message : 'the sealer cannot be founded', error);
    process.exitCode = 1;
  });
} else await run();
