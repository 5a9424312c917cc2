import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readEvidence } from './evidence.ts';
import { Finding } from './finding.ts';
import { type LogReport, type Trust, verifyLog } from './log.ts';
import { readKey } from './note.ts';
import { readPolicy } from './policy.ts';
import { verifyProof } from './proof.ts';
import { openSource } from './source.ts';
import { readStamp } from './stamp.ts';

const USAGE = `Checks Bartizan's evidence without Bartizan: this folder imports nothing of the server and no package.

  bartizan-verify log FOLDER|URL (--key KEY | --policy FILE) [--older FILE]… [--evidence FOLDER] [--json]
      re-derives every entry and tile; --older: checkpoints that you kept, --evidence: those that were kept beside
      the log with cosignatures and time stamps. Without them a log that was rolled back or made anew by whoever
      has its key looks right.
  bartizan-verify proof FILE --entry FILE (--key KEY | --policy FILE) [--json]
      one entry, offline (C2SP tlog-proof)
  bartizan-verify stamp FILE --of FILE [--json]
      what an RFC 3161 time stamp is of; its signature: openssl ts -verify -data FILE -in FILE -CAfile AUTHORITY

  --key KEY      the log's verifier key (\`log\` in public/keys.json), or a file that begins with it
  --policy FILE  logs, witnesses and quorum (C2SP tlog-policy)

Exit status: 0 everything verified; 1 something is wrong; 2 asked wrongly; 3 something could not be read.
`;

/** A busy log moves on while it is read. */
const ATTEMPTS = 40;
const PAUSE_MS = 50;

async function bytesOf(path: string): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Finding('unread', `${path} cannot be read (${error.code}).`);
  });
}

async function trusted(options: { key?: string | undefined; policy?: string | undefined }): Promise<Trust> {
  const policy = options.policy === undefined ? undefined : readPolicy(await bytesOf(options.policy));
  const text =
    options.key?.includes('+') === false ? (await bytesOf(options.key)).toString().split('\n')[0]! : options.key;
  const keys = [...(text === undefined ? [] : [readKey(text.trim())]), ...(policy?.logs ?? [])];
  if (keys.length === 0)
    throw new Finding(
      'usage',
      'Say whose log it is: --key, or a --policy with a log line. Take it from somebody you trust.',
    );
  return { keys, ...(policy === undefined ? {} : { policy }) };
}

/** Verifies again while the checkpoint moved under the reader. */
async function steadily(where: string, trust: Trust): Promise<LogReport> {
  const source = await openSource(where);
  for (let attempt = 1; ; attempt += 1) {
    const before = await source.read('checkpoint');
    const report = await verifyLog(source, trust);
    const after = await source.read('checkpoint');
    const moved = before !== undefined && after !== undefined && !before.equals(after);
    if (report.ok || !moved || attempt === ATTEMPTS) return report;
    await sleep(PAUSE_MS);
  }
}

interface Answer {
  readonly ok: boolean;
  readonly lines: readonly string[];
  readonly json: object;
}

async function log(where: string, options: Options): Promise<Answer> {
  const trust = await trusted(options);
  const evidence = options.evidence === undefined ? undefined : await readEvidence(options.evidence);
  const older = await Promise.all((options.older ?? []).map(async (name) => ({ name, bytes: await bytesOf(name) })));
  const kept = [...older, ...(evidence?.kept ?? [])];
  const report = await steadily(where, { ...trust, kept });
  const problems = [...report.problems, ...(evidence?.problems ?? [])];
  const ok = problems.length === 0;
  const stamps = evidence?.stamps ?? [];
  const { witnessed } = report;
  const lines = [
    ...problems.map(({ path, problem }) => `${path}: ${problem}`),
    ok ? `${report.entries} entries re-derived, root ${report.root}` : 'This log does NOT verify.',
    ...(ok && kept.length > 0 ? [`it begins with what ${report.kept.length} kept checkpoints cover`] : []),
    ...(ok && kept.length === 0
      ? ['no kept checkpoint was given: whether it was rolled back or made anew is NOT known']
      : []),
    ...(ok && witnessed !== undefined
      ? [
          `witnessed up to entry ${witnessed.entries}: ${witnessed.by.map(({ name, time }) => `${name} at ${time}`).join(', ') || 'nobody, as the policy has it'}`,
        ]
      : []),
    ...stamps.map(({ file, time }) => `${file} says ${time}; check its signature with openssl ts -verify`),
  ];
  return { ok, lines, json: { ...report, ok, problems, stamps } };
}

async function proof(file: string, options: Options): Promise<Answer> {
  if (options.entry === undefined) throw new Finding('usage', 'Say with --entry which file holds the entry’s bytes.');
  const report = verifyProof(await bytesOf(file), await bytesOf(options.entry), await trusted(options));
  const lines = report.ok
    ? [
        `entry ${report.index} of ${report.origin}, in the log of ${report.entries} entries`,
        ...(report.witnessed ?? []).map(({ name, time }) => `witnessed by ${name} at ${time}`),
      ]
    : [...report.problems, 'This proof does NOT verify.'];
  return { ok: report.ok, lines, json: report };
}

async function stamp(file: string, options: Options): Promise<Answer> {
  if (options.of === undefined) throw new Finding('usage', 'Say with --of which file was stamped.');
  try {
    const read = readStamp(await bytesOf(file), await bytesOf(options.of));
    const how = `openssl ts -verify -data ${options.of} -in ${file} -CAfile AUTHORITY.pem`;
    return {
      ok: true,
      lines: [`it is of this file and says ${read.time}`, `its signature is NOT checked here: ${how}`],
      json: { ok: true, ...read, problems: [] },
    };
  } catch (error) {
    if (!(error instanceof Finding) || error.code !== 'stamp') throw error;
    return { ok: false, lines: [error.message], json: { ok: false, problems: [error.message] } };
  }
}

const VERBS: Readonly<Record<string, (what: string, options: Options) => Promise<Answer>>> = { log, proof, stamp };

interface Options {
  readonly key?: string | undefined;
  readonly policy?: string | undefined;
  readonly older?: string[] | undefined;
  readonly evidence?: string | undefined;
  readonly entry?: string | undefined;
  readonly of?: string | undefined;
  readonly json?: boolean | undefined;
  readonly help?: boolean | undefined;
}

function readOptions(args: string[]): { options: Options; words: string[] } {
  const text = { type: 'string' } as const;
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...{ key: text, policy: text, evidence: text, entry: text, of: text },
        older: { type: 'string', multiple: true },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return { options: values, words: positionals };
  } catch (error) {
    throw new Finding('usage', (error as Error).message);
  }
}

async function main(args: string[]): Promise<number> {
  try {
    const { options, words } = readOptions(args);
    if (options.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    const [verb = '', what, ...more] = words;
    const run = VERBS[verb];
    if (run === undefined || what === undefined || more.length > 0) throw new Finding('usage', USAGE);
    const answer = await run(what, options);
    process.stdout.write(options.json ? `${JSON.stringify(answer.json)}\n` : `${answer.lines.join('\n')}\n`);
    return answer.ok ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.code === 'unread' ? 3 : 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
