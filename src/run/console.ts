import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { consoleServer } from '#api';
import { processLogger } from '#base';
import { emit } from '#log';
import { guardClient } from '#seal';
import { openPool } from '#store';
import { baitIn } from './bait.ts';
import { readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';

// What admins use all day: API and pages, handles only. Holds no key and can open nothing.
const logger = processLogger('console');
const config = readProcessConfig('console');

/** When a certificate ends, milliseconds; read anew each time, as it may have been renewed. */
const endOf = (file: string) => () => Date.parse(new X509Certificate(readFileSync(file)).validTo);

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys: keys, sockets, http } = config;
  if (!database || !keys || !sockets.ledger || !sockets.sealer || !http) throw new Error('incomplete configuration');
  const pool = openPool(database, { max: 12, name: 'console' });
  running.onStop(() => pool.end());
  const ledger = guardClient(sockets.ledger, { name: 'ledger' });
  const sealer = guardClient(sockets.sealer, { name: 'sealer' });
  running.onStop(() => {
    ledger.close();
    sealer.close();
  });
  const { origins, caps, level, demo } = config;
  const pages = join(import.meta.dirname, '..', '..', 'web', 'dist', 'console');
  const console = consoleServer({
    isBait: baitIn(config.state),
    ...{ pool, ledger, sealer, keys, origins, caps, level, demo, pages, log: logger },
    ...(config.search === undefined ? {} : { search: config.search }),
    now: Date.now,
    ...(typeof sockets.ledger === 'string' ? {} : { ledgerCertificate: endOf(sockets.ledger.cert) }),
  });
  console.server.listen(http.port, http.host);
  await once(console.server, 'listening');
  running.onStop(() => console.close());
  await emit(pool, { kind: 'system.started', actor: 'console' });
  running.ready();
  logger.info('the console is open', { port: http.port });
}

await run().catch((error: unknown) => {
  logger.error('the console cannot open', error);
  process.exit(1);
});
