import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BartizanError, processLogger, systemClock } from '#base';
import { lockWitness, Memory, readSigners, serveWitness, WitnessError } from '#witness';
import { runProcess } from './process.ts';

// The witness: `--dir DIR --listen HOST:PORT [--tls-cert FILE --tls-key FILE]`. It runs on somebody else's machine, has no
// part of the product, and loads nothing but proofs and files. `bartizan witness run` starts the same.
const logger = processLogger('witness');

/** Serves until it is stopped. Throws WitnessError. */
export async function runWitness(options: {
  readonly dir: string;
  readonly listen: string;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}): Promise<void> {
  const { hostname: host, port } = address(options.listen);
  const { tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new WitnessError('usage', 'Give --tls-cert together with --tls-key.');
  const tls = tlsCert === undefined ? {} : { tls: { cert: pem(tlsCert), key: pem(tlsKey!) } };
  const signers = readSigners(options.dir);
  const release = lockWitness(options.dir);
  const memory = Memory.open(options.dir);
  const running = runProcess(logger);
  running.onStop(release);
  const serving = await serveWitness({ host, port, memory, signers, clock: systemClock, logger, ...tls }).catch(
    (cause: unknown) => {
      throw new WitnessError('usage', 'The address cannot be listened on: it is in use, or not of this machine.', {
        cause,
      });
    },
  );
  running.onStop(() => serving.close());
  running.ready();
  logger.info('the witness answers', { port: serving.port, logs: memory.logs.length });
}

function address(listen: string): { hostname: string; port: number } {
  const url = URL.canParse(`http://${listen}`) ? new URL(`http://${listen}`) : undefined;
  const port = /:(\d{1,5})$/.exec(listen)?.[1];
  if (url === undefined || port === undefined || url.pathname !== '/')
    throw new WitnessError('usage', 'Say with --listen where to answer, such as 127.0.0.1:8450.');
  return { hostname: url.hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function pem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new WitnessError('usage', 'The file with the certificate or its key cannot be read.', { cause });
  }
}

if (import.meta.main) {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({ options: { dir: text, listen: text, 'tls-cert': text, 'tls-key': text } });
    const { dir, listen } = values;
    if (dir === undefined || listen === undefined) throw new WitnessError('usage', 'Give --dir and --listen.');
    await runWitness({ dir, listen, tlsCert: values['tls-cert'], tlsKey: values['tls-key'] });
  } catch (error) {
    logger.error(error instanceof BartizanError ? error.message : 'the witness cannot start', error);
    process.exitCode = 1;
  }
}
