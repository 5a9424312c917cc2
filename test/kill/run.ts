import { parseArgs } from 'node:util';
import { stormGuards } from './guards.ts';
import { storm } from './storm.ts';

// `npm run kill -- guards [--kills 50] [--seed N]`: kill -9 of sealer and ledger alone, 50 times each.
// `npm run kill -- [--kills 200] [--seed N] [--phones 12] [--lean 2000] [--minutes 30]`: kill -9 in a loop, then one JSON object. Not part of
// `npm test`, which has a short one (test/flows/storm.test.ts). Ends with 1 if anything was broken.
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    phones: { type: 'string', default: '12' },
    lean: { type: 'string', default: '2000' },
    minutes: { type: 'string', default: '30' },
  },
});
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
const say = (line: string) => void process.stderr.write(`${line}\n`);
if (positionals[0] === 'guards') {
  const seed = Number(values.seed);
  const guards = await stormGuards({ kills: Number(values.kills), seed, say });
  process.stdout.write(`${JSON.stringify({ seed, ...guards }, null, 2)}\n`);
  process.exit(guards.broken.length === 0 ? 0 : 1);
}
const result = await storm({
  ...{
    kills: Number(values.kills),
    seed: Number(values.seed),
    whole: Number(values.phones),
    lean: Number(values.lean),
  },
  ...{ minutes: Number(values.minutes), signal: stop.signal },
  say,
});
process.stdout.write(`${JSON.stringify({ seed: Number(values.seed), ...result }, null, 2)}\n`);
process.exit(result.broken.length === 0 ? 0 : 1);
