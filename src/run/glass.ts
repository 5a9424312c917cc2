import { once } from 'node:events';
import { join } from 'node:path';
import { processLogger } from '#base';
import { glassServer } from '#glass';
import { emit } from '#log';
import { guardClient } from '#seal';
import { openPool } from '#store';
import { readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';
import { followKeys } from './writer-keys.ts';

// The origin where people touch their passkeys. Relays ciphertext and touches to the guards; sees no value itself.
const logger = processLogger('glass');
const config = readProcessConfig('glass');

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys, sockets, http, origins, caps } = config;
  if (!database || !publicKeys || !sockets.ledger || !sockets.sealer || !sockets.intake || !http)
    throw new Error('incomplete configuration');
  const pool = openPool(database, { max: 8, name: 'glass' });
  running.onStop(() => pool.end());
  const keys = await followKeys({
    ...{ keys: publicKeys, state: config.state, running, log: logger },
    read: async () =>
      (await pool.query<{ notice: unknown }>('select people.organisation_notice() as notice')).rows[0]?.notice,
    readTransit: async () =>
      (await pool.query<{ notice: unknown }>('select people.transit_notice() as notice')).rows[0]?.notice,
  });
  const ledger = guardClient(sockets.ledger, { name: 'ledger' });
  const sealer = guardClient(sockets.sealer, { name: 'sealer' });
  const keeper = sockets.keeper === undefined ? undefined : guardClient(sockets.keeper, { name: 'keeper of keys' });
  running.onStop(() => {
    ledger.close();
    sealer.close();
    keeper?.close();
  });
  const pages = join(import.meta.dirname, '..', '..', 'web', 'dist', 'glass');
  const { region, landlines = 'refuse', unknown = 'accept' } = config.people ?? {};
  const numbers = { ...(region === undefined ? {} : { region }), landlines, unknown };
  const doors = { intake: sockets.intake, numbers };
  const glass = glassServer({
    ...doors,
    pool,
    ledger,
    sealer,
    keys,
    origins,
    caps,
    pages,
    now: Date.now,
    log: logger,
    search: config.search !== undefined,
    ...(keeper === undefined ? {} : { keeper }),
  });
  glass.server.listen(http.port, http.host);
  await once(glass.server, 'listening');
  running.onStop(() => glass.close());
  await emit(pool, { kind: 'system.started', actor: 'glass' });
  running.ready();
  logger.info('glass is open', { port: http.port });
}

await run().catch((error: unknown) => {
  logger.error('glass cannot open', error);
  process.exit(1);
});
