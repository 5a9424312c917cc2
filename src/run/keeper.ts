import { BartizanError, processLogger } from '#base';
import { Keeper, parseKeySettings, serveKeeper } from '#keeper';
import { RunError, readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// The keeper of keys that live in tokens, with key services or with people: it has the foreign libraries and the network that
// the sealer must not have, and never a key of ours.
const logger = processLogger('keeper');
const config = readProcessConfig('keeper');

async function run(): Promise<void> {
  const running = runProcess(logger);
  if (config.keys === undefined) throw new RunError('config', 'The keeper needs key settings.');
  const keeper = new Keeper({ state: config.state, settings: parseKeySettings(config.keys), log: logger });
  for (const caller of ['sealer', 'operator', 'glass'] as const) {
    const path = config.sockets.listen[caller];
    if (path === undefined) continue;
    const served = await serveKeeper({ path, caller, keeper, log: logger });
    running.onStop(() => served.close());
  }
  running.ready();
  logger.info('the keeper of keys is open');
}

await run().catch((error: unknown) => {
  logger.error(error instanceof BartizanError ? error.message : 'the keeper cannot open', error);
  process.exit(1);
});
