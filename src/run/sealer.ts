import { text } from 'node:stream/consumers';
import { BartizanError, processLogger, systemClock } from '#base';
import { foundSealer, parseFounders, SEALER_CALLERS, Sealer, sealerDoors, serveCaller } from '#guard';
import { guardClient } from '#seal';
import { type ProcessConfig, RunError, readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// The sealer: `--init --config FILE` makes the organisation's key (founders on standard input, the public key as one
// JSON line on standard output), `--config FILE` runs it.
const logger = processLogger('sealer');
const config = readProcessConfig('sealer');

function openSealer({ org, state, origins, caps, sockets, publicKeys }: ProcessConfig): Sealer {
  if (publicKeys === undefined || sockets.ledger === undefined) {
    throw new RunError('config', 'The sealer needs the public keys and its socket of the ledger.');
  }
  const ledger = guardClient(sockets.ledger, { name: 'ledger' });
  const origin = origins.glass;
  const { ledger: ledgerKey, release: releaseKey, courier: courierKey, core: coreKey } = publicKeys;
  const message = { coreKey, ...(courierKey === undefined ? {} : { courierKey }) };
  return new Sealer({
    org,
    state,
    origin,
    caps,
    clock: systemClock,
    logger,
    ledgerKey,
    ledger,
    releaseKey,
    ...message,
  });
}

async function init(): Promise<void> {
  const keys = await foundSealer(config.state, parseFounders(await text(process.stdin)));
  process.stdout.write(`${JSON.stringify(keys)}\n`);
}

async function run(): Promise<void> {
  const running = runProcess(logger);
  let sealer: Sealer;
  try {
    sealer = openSealer(config);
  } catch (error) {
    logger.error(error instanceof BartizanError ? error.message : 'the sealer cannot be opened', error);
    running.stop(74);
    return;
  }
  const doors = sealerDoors(sealer);
  for (const caller of SEALER_CALLERS) {
    const path = config.sockets.listen[caller];
    if (path === undefined) continue;
    const served = await serveCaller({ path, caller, doors, logger });
    running.onStop(() => served.close());
  }
  running.ready();
  // Reveals ask again by themselves if the ledger is not there yet.
  sealer.sync().then(
    () => logger.info('the sealer is open'),
    () => logger.warn('the ledger cannot be reached yet; nothing is opened until it can'),
  );
}

if (process.argv.includes('--init')) {
  await init().catch((error: unknown) => {
    logger.error(error instanceof BartizanError ? error.message : 'the sealer cannot be founded', error);
    process.exitCode = 1;
  });
} else await run();
