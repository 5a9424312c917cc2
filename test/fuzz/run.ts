import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type FuzzResult, fuzz, shorten, withinMemory } from './drive.ts';
import { TARGETS } from './targets.ts';
import { watchdog } from './watchdog.ts';

// `npm run fuzz -- [--inputs 1000000] [--only plist,der] [--seed N]`: many inputs to every parser, then a table.
const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const names = values.only?.split(',') ?? Object.keys(TARGETS);
for (const name of names)
  if (TARGETS[name] === undefined) {
    process.stderr.write(`There is no parser '${name}'. There is: ${Object.keys(TARGETS).join(', ')}.\n`);
    process.exit(2);
  }

const row = (cells: readonly (string | number)[]) => {
  const widths = [15, 9, 8, 9, 6, 8, 9, 8, 8, 8];
  return cells
    .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[0]!) : String(cell).padStart(widths[i]!)))
    .join(' ');
};
const line = (r: FuzzResult) =>
  row([
    r.name,
    r.inputs,
    r.parsed,
    r.refused,
    r.ways,
    r.maxMs.toFixed(1),
    r.maxMsBytes,
    r.peakMb.toFixed(0),
    r.heldMb.toFixed(1),
    r.seconds.toFixed(0),
  ]);

process.stdout.write(
  `${row(['parser', 'inputs', 'parsed', 'refused', 'ways', 'max ms', 'of bytes', 'peak MB', 'held MB', 'seconds'])}\n`,
);
let bad = 0;
for (const name of names) {
  const target = TARGETS[name]!();
  const dog = watchdog(target, 30_000);
  const result = fuzz(target, { inputs: Number(values.inputs), seed: Number(values.seed), before: dog.before });
  dog.stop();
  process.stdout.write(`${line(result)}\n`);
  if (result.failure !== undefined) {
    bad += 1;
    const small = shorten(target, result.failure.input);
    const file = join(mkdtempSync(join(tmpdir(), 'btz-fuzz-')), `${name}.bin`);
    writeFileSync(file, small);
    process.stdout.write(
      `  input ${result.failure.index}, ${small.length} bytes kept in ${file}\n  ${result.failure.what}\n`,
    );
  }
  if (!withinMemory(target, result)) {
    bad += 1;
    process.stdout.write('  memory grew beyond its bound\n');
  }
}
process.stdout.write(`seed ${values.seed}; ${bad === 0 ? 'every input parsed or was refused' : `${bad} broken`}\n`);
process.exit(bad === 0 ? 0 : 1);
