import { parseArgs } from 'node:util';
import { hunt } from './hunt.ts';

// `npm run tamper -- [--tamperings 10000] [--seed N] [--json]`: edits, deletions, reorderings, truncations, roll-backs and
// forks of logs; exit status 0 only if the verifier found every one.
const { values } = parseArgs({
  options: {
    tamperings: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});
const result = await hunt(Number(values.tamperings), Number(values.seed));
if (values.json) process.stdout.write(`${JSON.stringify({ ...result, seed: Number(values.seed) })}\n`);
else {
  for (const [kind, count] of Object.entries(result.kinds)) process.stdout.write(`${kind.padEnd(32)} ${count}\n`);
  for (const one of result.missed) process.stdout.write(`MISSED ${one}\n`);
  process.stdout.write(`${result.tamperings} tamperings, ${result.missed.length} missed, seed ${values.seed}\n`);
}
process.exit(result.missed.length === 0 ? 0 : 1);
