import { uuidv7 } from '#base';
import { Ledger } from '#guard';
import { DEFAULT_CAPS } from '#seal';

// Run as a process of its own and killed at a random moment: appends leaves one by one and in bursts, and prints each
// number only once the ledger has answered for it.
const [, , state, from] = process.argv as [string, string, string, string];
const ledger = await Ledger.open({
  org: 'org-test',
  state,
  logDir: `${state}/log`,
  origin: 'http://glass.localhost:8441',
  caps: DEFAULT_CAPS,
  clock: () => Date.now(),
  logger: { info() {}, warn() {}, error: (message, cause) => process.stderr.write(`${message} ${String(cause)}\n`) },
  onUnusable: () => process.exit(74),
});
process.stdout.write('open\n');
let n = Number(from);
for (;;) {
  const batch = Array.from({ length: 1 + (n % 7) }, () => ({
    n: ++n,
    uid: uuidv7(),
    time: Date.now(),
    type_uid: 300401,
    actor: null,
    digest: Buffer.alloc(32, n % 251).toString('base64url'),
  }));
  await ledger.append(batch[0]!.n, batch);
  process.stdout.write(`${n}\n`);
}
