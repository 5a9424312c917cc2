import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { processLogger } from '#base';
import { intakeServer } from '#people';
import { guardClient, readPen } from '#seal';
import { openPool } from '#store';
import { readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// Directory files come in here, in the clear, and leave sealed. Holds public keys only and keeps nothing.
const logger = processLogger('intake');
const config = readProcessConfig('intake');

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys: keys, sockets } = config;
  const path = sockets.listen['operator'];
  if (database === undefined || keys === undefined || sockets.ledger === undefined || path === undefined)
    throw new Error('incomplete configuration');
  const pool = openPool(database, { max: 2, name: 'intake' });
  running.onStop(() => pool.end());
  const ledger = guardClient(sockets.ledger, { name: 'ledger' });
  running.onStop(() => ledger.close());
  const pen = readPen(config.state, 'intake', keys);
  const server = intakeServer({ pool, ledger, keys, pen }, logger);
  rmSync(path, { force: true });
  server.listen(path);
  await once(server, 'listening');
  // The directory's mode lets only the operator reach the socket.
  chmodSync(path, 0o666);
  running.onStop(() => {
    server.close();
    server.closeAllConnections();
  });
  await pool.query('select people.intake_started()');
  running.ready();
  logger.info('intake takes directory files');
}

await run().catch((error: unknown) => {
  logger.error('intake cannot open', error);
  process.exit(1);
});
