import cluster from 'node:cluster';
import { once } from 'node:events';
import { processLogger, systemClock } from '#base';
import {
  DEFAULT_POLICY,
  DOWNLOAD_LIMITS,
  edgeServer,
  makeEdgeSecrets,
  makeRegistrationKey,
  Refusals,
  readAccountSettings,
  readEdgeSecrets,
  readInbound,
  registerEdge,
} from '#edge';
import { readPen } from '#seal';
import { openPool } from '#store';
import { readProcessConfig } from './config.ts';
import { checkDevicePlane } from './device-plane.ts';
import { runProcess, runWorker } from './process.ts';
import { superviseWorkers } from './workers.ts';
import { followKeys } from './writer-keys.ts';

// The device plane: the only process that faces the internet. `--init` makes its registration key. With several workers
// this process only hands connections to them; each of them is the whole device plane.
const logger = processLogger('edge');
const config = readProcessConfig('edge');
/** Connections of edge's database role (store/roles.ts) that all workers share, less some for a worker that is replaced. */
const CONNECTIONS = 32;

async function run(): Promise<void> {
  const running = cluster.isPrimary ? runProcess(logger) : runWorker(logger);
  const { database, publicKeys: keys, http } = config;
  if (database === undefined || keys === undefined || http === undefined) throw new Error('incomplete configuration');
  const workers = config.edgeWorkers ?? 1;
  if (cluster.isPrimary && workers > 1) {
    await superviseWorkers(workers, running, logger);
    running.ready();
    return;
  }
  const pool = openPool(database, { max: Math.max(4, Math.min(16, Math.floor(CONNECTIONS / workers))), name: 'edge' });
  running.onStop(() => pool.end());
  const writerKeys = await followKeys({
    ...{ keys, state: config.state, running, log: logger },
    read: async () =>
      (await pool.query<{ notice: unknown }>('select edge.organisation_notice() as notice')).rows[0]?.notice,
    readTransit: async () =>
      (await pool.query<{ notice: unknown }>('select edge.transit_notice() as notice')).rows[0]?.notice,
  });
  const identity = await registerEdge(pool, config.state);
  const secrets = readEdgeSecrets(config.state, keys.release);
  const pen = readPen(config.state, 'edge', keys);
  const refusals = new Refusals(pool, logger);
  running.onStop(() => refusals.close());
  const account = readAccountSettings(config.state);
  const inbound = readInbound(config.state);
  const {
    legacy = 'count',
    downloadsAtOnce,
    downloadMibPerSecond,
    ...policy
  } = checkDevicePlane(config.devicePolicy ?? {});
  const each = (all: number) => Math.max(1, Math.floor(all / workers));
  const downloads = {
    atOnce: each(downloadsAtOnce ?? DOWNLOAD_LIMITS.atOnce),
    bytesPerSecond: each(
      downloadMibPerSecond === undefined ? DOWNLOAD_LIMITS.bytesPerSecond : downloadMibPerSecond * 1024 * 1024,
    ),
  };
  const edge = edgeServer({
    ...{
      pool,
      keys: writerKeys,
      identity,
      ca: identity.ca,
      clock: systemClock,
      log: logger,
      refusals,
      allowLegacy: legacy === 'count',
    },
    ...{ secrets, pen, policy: { ...DEFAULT_POLICY, ...policy } },
    ...(account === undefined ? {} : { account }),
    ...(inbound === undefined ? {} : { inbound }),
    downloads,
    ...{ origin: config.origins.edge, organisation: config.org, topic: config.topic },
    signProfiles: config.signProfiles ?? true,
  });
  edge.server.listen(http.port, http.host);
  await once(edge.server, 'listening');
  running.onStop(() => edge.close());
  await pool.query('select edge.started()');
  running.ready();
  logger.info('the device plane is open', { port: http.port });
}

if (process.argv.includes('--init')) {
  makeRegistrationKey(config.state);
  process.stdout.write(`${JSON.stringify(makeEdgeSecrets(config.state))}\n`);
} else {
  await run().catch((error: unknown) => {
    logger.error('the device plane cannot open', error);
    process.exit(1);
  });
}
