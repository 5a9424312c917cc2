import { createPrivateKey } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { Sealed, uuidv7 } from '#base';
import { Ledger, type LedgerOptions } from '#guard';
import { challengeOf, type Leave, type PublicKeys, readWritten, type SealedRow, sealWrite } from '#seal';
import { assertion, type SoftwarePasskey } from '#sim';

// Run as a process of its own and killed at a random moment. Prints a line only once the ledger has answered for it; what is
// printed counts as stored by the database.
const job = JSON.parse(await text(process.stdin)) as {
  readonly what: 'settle' | 'leave' | 'relock';
  readonly options: Omit<LedgerOptions, 'clock' | 'logger' | 'onUnusable'>;
  readonly keys: PublicKeys;
  readonly pen: string;
  readonly passkeys: readonly SoftwarePasskey[];
  readonly subjects: readonly string[];
  readonly rows: readonly SealedRow[];
  readonly generation: number;
};
const ledger = await Ledger.open({
  ...job.options,
  clock: () => Date.now(),
  logger: { info() {}, warn() {}, error: (message, cause) => process.stderr.write(`${message} ${String(cause)}\n`) },
  onUnusable: () => process.exit(74),
});
const print = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);
print('open');

async function settle(): Promise<void> {
  const pen = { writer: 'intake', key: createPrivateKey(job.pen) } as const;
  for (let version = 1; ; version += 1) {
    for (const subject of job.subjects) {
      const value = new Sealed(`+44770090${version}`);
      const label = { subject, field: 'number', version } as const;
      const written = readWritten('number', sealWrite({ keys: job.keys, pen, ...label, value }))!;
      const { rows } = await ledger.settle([{ ...label, ...written }]);
      if (rows.length > 0) print(rows[0]);
    }
  }
}

async function leave(): Promise<void> {
  for (const subject of job.subjects) {
    const document: Leave = {
      ...{ v: 1, op: 'leave', id: uuidv7(), subjects: [subject], requester: job.passkeys[0]!.admin! },
      ...{ purpose: 'has left the agency', notAfter: Date.now() + 60_000 },
    };
    const origin = job.options.origin;
    const rpId = new URL(origin).hostname;
    const signed = job.passkeys.map((one) => assertion(one, { challenge: challengeOf(document), origin, rpId }));
    await ledger.leaving.leave(document, signed);
    print(subject);
  }
}

async function relock(): Promise<void> {
  const kept = new Map(job.rows.map((row) => [row.subject, row]));
  for (const subject of job.subjects) {
    for (let done = false; !done; ) {
      const answer = await ledger.relocking.carry(job.generation, [kept.get(subject)!], []);
      for (const row of answer.rows) {
        kept.set(subject, row);
        print(row);
      }
      done = answer.done.length > 0;
    }
  }
}

await { settle, leave, relock }[job.what]();
print('end');
