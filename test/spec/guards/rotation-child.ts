import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ledger, ledgerDoors, Sealer, sealerDoors, serveCaller } from '#guard';
import { type Assertion, type Caps, guardClient, type PublicKeys, type RotateKey, type SealedRow } from '#seal';

// Both guards in one process, which is killed at a random moment of a change of the organisation's key and started again until it is
// through. `rows.json` is the database: replaced as a whole. Prints what it has reached.
interface Orders {
  readonly folder: string;
  readonly keys: PublicKeys;
  readonly caps: Caps;
  readonly document: RotateKey;
  readonly assertions: readonly Assertion[];
  /** How far this process's clock is ahead, milliseconds. */
  readonly ahead: number;
}
const { folder, keys, caps, document, assertions, ahead } = JSON.parse(
  readFileSync(process.argv[2]!, 'utf8'),
) as Orders;
const say = (line: string) => process.stdout.write(`${line}\n`);
const quiet = {
  info() {},
  warn() {},
  error: (message: string, cause: unknown) => say(`error ${message} ${String(cause)}`),
};
const clock = () => Date.now() + ahead;
const common = {
  org: keys.org,
  origin: 'http://glass.localhost:8441',
  caps,
  clock,
  logger: quiet,
  releaseKey: keys.release,
};
const ledger = await Ledger.open({
  ...common,
  ...{ state: join(folder, 'ledger'), logDir: join(folder, 'ledger', 'log'), orgKey: keys.inner },
  onUnusable: () => process.exit(74),
});
const path = (name: string) => join(folder, 'run', `killed-${name}`);
await serveCaller({ path: path('ledger'), caller: 'sealer', doors: ledgerDoors(ledger), logger: quiet });
const sealer = new Sealer({
  ...{ ...common, state: join(folder, 'sealer'), ledgerKey: keys.ledger },
  ledger: guardClient(path('ledger'), { name: 'ledger' }),
});
await sealer.loading;
await serveCaller({ path: path('sealer'), caller: 'core', doors: sealerDoors(sealer), logger: quiet });
say('open');
await sealer.resealing.promote(document, assertions);
await ledger.rekeying.promote(document, assertions);
say('in force');
const file = join(folder, 'rows.json');
const name = (row: Omit<SealedRow, 'row'>) => `${row.subject}|${row.field}|${row.version}`;
for (let round = 0; round < 3; round++) {
  const rows = JSON.parse(readFileSync(file, 'utf8')) as SealedRow[];
  for (let at = 0; at < rows.length; at += 8) {
    const part = rows.slice(at, at + 8);
    const fresh = new Map((await sealer.resealing.reseal(part)).rows.map((row) => [name(row), row as SealedRow]));
    for (const [i, row] of part.entries()) rows[at + i] = fresh.get(name(row)) ?? row;
    writeFileSync(`${file}.new`, JSON.stringify(rows));
    renameSync(`${file}.new`, file);
    say(`batch ${round} ${at}`);
  }
  const ended = await sealer.resealing.reseal([]);
  if (ended.retired) break;
}
say(existsSync(join(folder, 'sealer', 'organisation.key')) ? 'the old key is still there' : 'done');
process.exit(0);
