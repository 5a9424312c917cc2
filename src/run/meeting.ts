import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { processLogger, systemClock } from '#base';
import { doorsFor, serveRemote } from '#guard';
import { DEFAULT_CAPS, GuardError, shape } from '#seal';

// Where the ledger's host meets the first host, once: takes what that says over mutual TLS from whoever holds the founding
// certificate, hands it to the supervisor as one JSON line on standard output, answers with the one JSON line of public keys that
// comes back on standard input, and ends. The ledger itself has no such door.
const logger = processLogger('meeting');
const { values } = parseArgs({
  options: { door: { type: 'string' }, host: { type: 'string' }, port: { type: 'string' } },
});
const { door: folder, host, port } = values as Record<string, string>;
const FOUND_MS = 60_000;
const MOST_BYTES = 64 * 1024;

const { object, text, integer } = shape;
const origin = text(200, { min: 8, pattern: /^https?:\/\/[a-z0-9.:-]+$/ });
/** The ledger's own `--init` reads what is inside. */
const plain = (value: unknown): object => {
  const whole = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!whole || JSON.stringify(value).length > MOST_BYTES) throw new GuardError('shape', 'An object is expected.');
  return value as object;
};
const meetBody = object({
  org: text(63, { min: 1 }),
  origins: object({ console: origin, glass: origin, edge: origin }),
  caps: object(Object.fromEntries(Object.keys(DEFAULT_CAPS).map((name) => [name, integer(0)]))),
  founding: plain,
  keys: plain,
});

const answer = Promise.withResolvers<object>();
let heard = '';
process.stdin.setEncoding('utf8').on('data', (part: string) => {
  heard += part;
  if (heard.includes('\n')) answer.resolve(JSON.parse(heard) as object);
});
process.stdin.on('end', () => process.exit(1));
let begun = false;
const served = await serveRemote<'founding'>({
  ...{ host: host!, port: Number(port), folder: folder!, callers: ['founding'], clock: systemClock, logger },
  doors: {
    meet: doorsFor<'founding'>()({
      from: ['founding'],
      parse: meetBody,
      waits: () => FOUND_MS,
      handle: async (meeting) => {
        if (begun) throw new GuardError('founded', 'This ledger is being founded already.');
        begun = true;
        process.stdout.write(`${JSON.stringify(meeting)}\n`);
        const keys = await answer.promise;
        // The answer must have left before the door closes.
        void sleep(300).then(async () => {
          await served.close();
          process.exit(0);
        });
        return keys;
      },
    }),
  },
});
process.on('SIGUSR1', () => {});
process.on('SIGTERM', () => process.exit(1));
