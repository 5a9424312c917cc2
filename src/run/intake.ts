import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { processLogger } from '#base';
import {
  type IntakeDoors,
  makeIntakeSecrets,
  readIntakeSecrets,
  SCIM_PATH,
  scimServer,
  Tokens,
  uploadServer,
} from '#intake';
import { DEFAULT_NUMBERS, intakeServer } from '#people';
import { guardClient, readPen } from '#seal';
import { openPool } from '#store';
import { baitIn } from './bait.ts';
import { readProcessConfig } from './config.ts';
import { runProcess } from './process.ts';
import { tokensFile } from './scim-tokens.ts';
import { followKeys } from './writer-keys.ts';

// People come in here, in the clear, and leave sealed. Holds public keys, and one key that makes tags. `--init` makes that one.
const logger = processLogger('intake');
const config = readProcessConfig('intake');

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys, sockets, http, people: settings = {} } = config;
  const path = sockets.listen['operator'];
  if (
    database === undefined ||
    publicKeys === undefined ||
    sockets.ledger === undefined ||
    path === undefined ||
    http === undefined
  )
    throw new Error('incomplete configuration');
  const pool = openPool(database, { max: 6, name: 'intake' });
  running.onStop(() => pool.end());
  const keys = await followKeys({
    ...{ keys: publicKeys, state: config.state, running, log: logger },
    read: async () =>
      (await pool.query<{ notice: unknown }>('select people.organisation_notice() as notice')).rows[0]?.notice,
    readTransit: async () =>
      (await pool.query<{ notice: unknown }>('select people.transit_notice() as notice')).rows[0]?.notice,
  });
  const ledger = guardClient(sockets.ledger, { name: 'ledger' });
  running.onStop(() => ledger.close());
  const pen = readPen(config.state, 'intake', keys);
  const { region, landlines = DEFAULT_NUMBERS.landlines, unknown = DEFAULT_NUMBERS.unknown } = settings;
  const numbers = { ...(region === undefined ? {} : { region }), landlines, unknown };
  const doors: IntakeDoors = {
    ...{ pool, ledger, keys, pen, numbers, now: Date.now, random: randomInt, log: logger },
    isBait: baitIn(config.state),
    secrets: readIntakeSecrets(config.state, keys.intake),
    scimUrl: settings.scimUrl ?? `http://${http.host}:${http.port}${SCIM_PATH}`,
  };

  const onSocket = async (server: Server, socket: string) => {
    rmSync(socket, { force: true });
    server.listen(socket);
    await once(server, 'listening');
    // The directory's mode lets only its caller reach the socket.
    chmodSync(socket, 0o666);
    running.onStop(() => {
      server.close();
      server.closeAllConnections();
    });
  };
  const glass = sockets.listen['glass'];
  if (glass !== undefined) await onSocket(uploadServer(doors, logger), glass);
  await onSocket(intakeServer({ pool, ledger, keys, pen, numbers }, logger), path);

  const tokens = new Tokens(tokensFile(config.home), Date.now, (records) => {
    const sources = [...new Set(records.map(({ source }) => source))];
    pool
      .query('select people.intake_tokens($1, $2)', [records.length, sources])
      .catch((error: unknown) => logger.error('a change of the tokens could not be told', error));
  });
  const scim = scimServer(doors, tokens);
  scim.server.listen(http.port, http.host);
  await once(scim.server, 'listening');
  running.onStop(() => scim.close());

  await pool.query('select people.intake_started()');
  running.ready();
  logger.info('intake takes directory files, and people by SCIM', { port: http.port });
}

if (process.argv.includes('--init')) {
  try {
    process.stdout.write(`${JSON.stringify(makeIntakeSecrets(config.state))}\n`);
  } catch (error) {
    logger.error('intake cannot make its keys', error);
    process.exitCode = 1;
  }
} else {
  await run().catch((error: unknown) => {
    logger.error('intake cannot open', error);
    process.exit(1);
  });
}
