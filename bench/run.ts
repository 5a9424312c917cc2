import { BartizanError } from '#base';
import { checkin } from './checkin.ts';
import { ddm } from './ddm.ts';
import { enrolment } from './enrolment.ts';
import { fleetBench } from './fleet.ts';
import { importBench } from './import.ts';
import { logBench } from './log.ts';
import { memory } from './memory.ts';
import { openLoop } from './open-loop.ts';
import { reveal } from './reveal.ts';
import { signatures } from './signatures.ts';

// `npm run bench -- NAME [--json] [options]`: the last line with --json is one JSON object. Not part of the tests: figures
// depend on the machine, tests must not.
const BENCHES: Record<string, (args: readonly string[], say: (line: string) => void) => Promise<object>> = {
  checkin,
  ddm,
  fleet: fleetBench,
  enrolment,
  import: importBench,
  log: logBench,
  'open-loop': openLoop,
  reveal,
  signatures,
  memory,
};

const [name = '', ...args] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  process.stderr.write(`There is no bench '${name}'. There is: ${Object.keys(BENCHES).join(', ')}.\n`);
  process.exit(2);
}
const json = args.includes('--json');
const say = (line: string) => (json ? process.stderr : process.stdout).write(`${line}\n`);
try {
  const result = await bench(args, say);
  process.stdout.write(`${json ? JSON.stringify(result) : JSON.stringify(result, null, 2)}\n`);
  process.exit(0);
} catch (error) {
  const told = error instanceof BartizanError || error instanceof Error;
  process.stderr.write(`${told ? error.message : 'The bench failed.'}\n`);
  process.exit(1);
}
