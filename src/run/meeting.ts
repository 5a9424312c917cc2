import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { processLogger, systemClock } from '#base';
import { doorsFor, foundLedger, parseFounders, serveRemote } from '#guard';
import { type Caps, DEFAULT_CAPS, GuardError, shape } from '#seal';

// Founds the ledger on a host of its own, once: takes what the first host says over mutual TLS from whoever holds the founding
// certificate, makes the ledger's keys and its log, and ends. What it learnt goes to the supervisor as one JSON line on
// standard output. The ledger itself has no such door.
const logger = processLogger('meeting');
const { values } = parseArgs({
  options: {
    door: { type: 'string' },
    state: { type: 'string' },
    log: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string' },
  },
});
const { door: folder, state, log: logDir, host, port } = values as Record<string, string>;

const { object, text, integer } = shape;
const origin = text(200, { min: 8, pattern: /^https?:\/\/[a-z0-9.:-]+$/ });
const plain = (value: unknown): object => {
  const whole = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!whole || JSON.stringify(value).length > 64 * 1024) throw new GuardError('shape', 'An object is expected.');
  return value as object;
};
const caps = object(Object.fromEntries(Object.keys(DEFAULT_CAPS).map((name) => [name, integer(0)])));

const meetBody = object({
  org: text(63, { min: 1 }),
  origins: object({ console: origin, glass: origin, edge: origin }),
  caps,
  founders: (value: unknown) => parseFounders(JSON.stringify({ founders: value })),
  keys: plain,
});

let begun = false;
const served = await serveRemote<'founding'>({
  ...{ host: host!, port: Number(port), folder: folder!, callers: ['founding'], clock: systemClock, logger },
  doors: {
    meet: doorsFor<'founding'>()({
      from: ['founding'],
      parse: meetBody,
      handle: async ({ org, origins, caps: given, founders, keys }) => {
        if (begun) throw new GuardError('founded', 'This ledger is being founded already.');
        begun = true;
        const clock = systemClock;
        const common = { org, state: state!, logDir: logDir!, origin: origins.glass, clock, logger };
        const own = await foundLedger({ ...common, caps: given as unknown as Caps }, founders);
        process.stdout.write(`${JSON.stringify({ org, origins, caps: given, keys: { ...keys, ...own } })}\n`);
        const names = founders.map(({ admin }) => admin);
        logger.info('the ledger is founded', { org, founders: names.join(' ') });
        // The answer must have left before the door closes.
        void sleep(500).then(async () => {
          await served.close();
          process.exit(0);
        });
        return own;
      },
    }),
  },
});
process.on('SIGUSR1', () => {});
process.on('SIGTERM', () => process.exit(1));
process.stdin.on('end', () => process.exit(1)).resume();
