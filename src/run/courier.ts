import { statSync } from 'node:fs';
import { Alarms, alarmsFile, readAlarms } from '#alarm';
import { processLogger, systemClock } from '#base';
import { Courier, makeCourierKey, Queue, readCourierKey, readSettings, settingsFile } from '#courier';
import { guardClient } from '#seal';
import { listen, openPool } from '#store';
import { readProcessConfig } from './config.ts';
import { startLoop } from './loop.ts';
import { runProcess } from './process.ts';

// Sends messages to people, and alerts to whoever watches. Network out only; whom it writes to it learns from the guards, one
// message at a time.
// `--init` makes its key.
const logger = processLogger('courier');
const config = readProcessConfig('courier');
const LOOK_MS = 2_000;

/** Changes whenever the operator writes the file. */
function stamp(file: string): number {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys: keys, sockets } = config;
  if (!database || !keys?.courier || !sockets.sealer) throw new Error('incomplete configuration');
  const pool = openPool(database, { max: 6, name: 'courier' });
  running.onStop(() => pool.end());
  const sealer = guardClient(sockets.sealer, { name: 'sealer' });
  running.onStop(() => sealer.close());
  const courier = new Courier({
    ...{ queue: new Queue(pool), sealer, key: readCourierKey(config.state, keys.courier), ledgerKey: keys.ledger },
    ...{ organisation: keys.org, log: logger },
  });
  running.onStop(() => courier.close());
  const gateways = settingsFile(config.state);
  const told = alarmsFile(config.state);
  let seen = stamp(gateways);
  let heard = stamp(told);
  await courier.start(readSettings(config.state));
  const work = startLoop('courier', 1_000, () => courier.step(), logger);
  const settings = startLoop(
    'settings',
    LOOK_MS,
    async () => {
      const now = stamp(gateways);
      if (now === seen) return 0;
      await courier.change(readSettings(config.state));
      seen = now;
      work.wake();
      logger.info('other gateways are used from now on');
      return 0;
    },
    logger,
  );
  const alarms = new Alarms({
    ...{ pool, console: config.origins.console, organisation: keys.org, now: systemClock, log: logger },
  });
  await alarms.use(readAlarms(config.state));
  const alerts = startLoop('alerts', 1_000, () => alarms.step(), logger);
  const channels = startLoop(
    'alert-channels',
    LOOK_MS,
    async () => {
      const now = stamp(told);
      if (now !== heard) {
        await alarms.use(readAlarms(config.state));
        heard = now;
        alerts.wake();
        logger.info('alerts go to other channels from now on');
      }
      await alarms.beat();
      return 0;
    },
    logger,
  );
  const hints = [
    listen(database, 'bartizan_courier', () => work.wake()),
    listen(database, 'bartizan_alarm', () => alerts.wake()),
  ];
  running.onStop(async () => {
    const loops = [settings, work, channels, alerts];
    await Promise.all([...hints, ...loops].map((one) => one.close()));
  });
  running.ready();
  logger.info('courier is at work');
}

if (process.argv.includes('--init')) process.stdout.write(`${JSON.stringify(makeCourierKey(config.state))}\n`);
else
  await run().catch((error: unknown) => {
    logger.error('courier cannot start', error);
    process.exit(1);
  });
