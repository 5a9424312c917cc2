import { once } from 'node:events';
import { processLogger, systemClock } from '#base';
import { edgeServer, makeRegistrationKey, Refusals, registerEdge } from '#edge';
import { openPool } from '#store';
import { readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// The device plane: the only process that faces the internet. `--init` makes its registration key.
const logger = processLogger('edge');
const config = readProcessConfig('edge');

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys: keys, http } = config;
  if (database === undefined || keys === undefined || http === undefined) throw new Error('incomplete configuration');
  const pool = openPool(database, { max: 16, name: 'edge' });
  running.onStop(() => pool.end());
  const identity = await registerEdge(pool, config.state);
  const refusals = new Refusals(pool, logger);
  running.onStop(() => refusals.close());
  const server = edgeServer({
    ...{ pool, keys, identity, ca: identity.ca, clock: systemClock, log: logger, refusals, allowLegacy: true },
    ...{ origin: config.origins.edge, organisation: config.org, topic: config.topic },
  });
  server.listen(http.port, http.host);
  await once(server, 'listening');
  running.onStop(() => {
    server.close();
    server.closeAllConnections();
  });
  await pool.query('select edge.started()');
  running.ready();
  logger.info('the device plane is open', { port: http.port });
}

if (process.argv.includes('--init')) {
  makeRegistrationKey(config.state);
  process.stdout.write('{}\n');
} else {
  await run().catch((error: unknown) => {
    logger.error('the device plane cannot open', error);
    process.exit(1);
  });
}
