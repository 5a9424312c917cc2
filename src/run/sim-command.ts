import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { profileOf, readMisbehaviour, type Send, SimError, type SimOptions, signsIdentities, simulate } from '#sim';
import { fromPem, parseCertificate } from '#wire';

interface Given {
  readonly enrol?: readonly string[];
  readonly phones: string;
  readonly state?: string;
  readonly poll: string;
  readonly push: boolean;
  readonly pushFiles?: string;
  readonly misbehave: string;
  readonly duration: string;
  readonly json: boolean;
  readonly serverUrl?: string;
  readonly checkInUrl?: string;
  readonly scepUrl?: string;
  readonly challenge?: string;
  readonly ca?: string;
  readonly caKey?: string;
  readonly topic?: string;
  readonly iOwnThisServer: readonly string[];
}

const several = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** Adds `bartizan sim`: simulated phones against any MDM server. Settings: docs/simulator.md. */
export function addSim(program: Command, say: (line: string) => void): void {
  program
    .command('sim')
    .description('simulated phones against any MDM server of yours; ends by itself')
    .option(
      '--enrol <link or file>',
      'enrolment link, a file of links (one a line), or a profile file; repeatable',
      several,
    )
    .option('--phones <n>', 'how many phones', '50')
    .option('--state <file>', 'keeps the phones for the next run; holds their private keys')
    .option('--poll <time>', 'how often a phone checks in, such as 500ms, 30s or 5m', '30s')
    .option('--duration <time>', 'how long', '60s')
    .option('--misbehave <list>', 'such as notnow=0.1,garbage=0.05, tolerance or hostile', '')
    .option('--push', 'play APNs on loopback and wake phones by pushes', false)
    .option('--push-files <prefix>', 'with --push: write the push authority and a push certificate to <prefix>-*.pem')
    .option('--server-url <url>', 'a server without links: its MDM address')
    .option('--check-in-url <url>', 'its check-in address, if another')
    .option('--topic <topic>', 'its push topic')
    .option('--scep-url <url>', 'its SCEP address')
    .option('--challenge <text>', 'SCEP challenge')
    .option('--ca <file>', 'instead of SCEP: PEM of a CA that the server trusts; the simulation signs identities')
    .option('--ca-key <file>', 'its private key, PEM')
    .addOption(
      new Option('--i-own-this-server <host>', 'a host beyond loopback that is yours; repeatable')
        .default([])
        .argParser(several),
    )
    .option('--json', 'the last line is one JSON object', false)
    .action(async (given: Given) => {
      const stop = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
      const tell = given.json ? (text: string) => void process.stderr.write(`${text}\n`) : say;
      const result = await simulate({ ...readGiven(given, tell), say: tell, signal: stop.signal });
      say(given.json ? JSON.stringify(result) : JSON.stringify(result, null, 2));
      process.exitCode = result.enrolled === 0 ? 1 : 0;
    });
}

function readGiven(given: Given, tell: (text: string) => void): SimOptions {
  const phones = Number(given.phones);
  if (!Number.isInteger(phones) || phones < 1 || phones > 100_000)
    throw new SimError('usage', '--phones takes a whole number from 1 to 100000.');
  const { links, profile } =
    given.serverUrl === undefined ? sources(given.enrol ?? []) : { links: [], profile: raw(given) };
  if (links.length === 0 && profile === undefined)
    throw new SimError('usage', 'Say with --enrol or --server-url where the phones belong.');
  const through = authority(given);
  return {
    ...{ links, phones, pollMs: time(given.poll), durationMs: time(given.duration), owned: hosts(given) },
    ...{ misbehave: readMisbehaviour(given.misbehave), say: tell },
    ...(profile === undefined ? {} : { profile }),
    ...(given.state === undefined ? {} : { stateFile: given.state }),
    ...(through === undefined ? {} : { through }),
    ...(given.push ? { onPush: (where) => pushTold(given, where, tell) } : {}),
  };
}

const hosts = (given: Given): readonly string[] => given.iOwnThisServer.map((host) => host.toLowerCase());

function pushTold(
  { pushFiles, topic }: Given,
  where: Parameters<NonNullable<SimOptions['onPush']>>[0],
  tell: (text: string) => void,
): void {
  tell(`pushes to ${where.url}`);
  if (pushFiles === undefined) return;
  writeFileSync(`${pushFiles}-authority.pem`, where.ca);
  writeFileSync(`${pushFiles}-certificate.pem`, where.certificate(topic ?? 'com.apple.mgmt.External.example'), {
    mode: 0o600,
  });
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SimError('usage', `The file ${file} cannot be read.`, { cause });
  }
}

/** Links and files of links, or one profile. */
function sources(given: readonly string[]): { links: string[]; profile?: Buffer } {
  const links: string[] = [];
  for (const one of given) {
    if (!existsSync(one)) {
      links.push(one);
      continue;
    }
    const bytes = read(one);
    // a signed profile is DER, a plain one XML
    if (bytes[0] === 0x30 || bytes.subarray(0, 5).toString() === '<?xml') return { links: [], profile: bytes };
    links.push(
      ...bytes
        .toString('utf8')
        .split(/\s+/)
        .filter((line) => line !== ''),
    );
  }
  return { links };
}

function raw({ serverUrl, checkInUrl, topic, scepUrl, challenge, ca }: Given): Buffer {
  if (topic === undefined) throw new SimError('usage', 'A server without links needs --topic.');
  if ((scepUrl === undefined) === (ca === undefined))
    throw new SimError('usage', 'Say either --scep-url or --ca with --ca-key.');
  return profileOf({
    ...{ serverUrl: serverUrl!, topic },
    ...(checkInUrl === undefined ? {} : { checkInUrl }),
    ...(scepUrl === undefined ? {} : { scepUrl }),
    ...(challenge === undefined ? {} : { challenge }),
  });
}

function authority({ ca, caKey }: Given): ((send: Send) => Send) | undefined {
  if (ca === undefined) return undefined;
  if (caKey === undefined) throw new SimError('usage', '--ca needs --ca-key.');
  const certificate = parseCertificate(fromPem(read(ca).toString('utf8')));
  const key = createPrivateKey(read(caKey));
  return (send) => signsIdentities(send, { certificate, key });
}

/** Milliseconds of `500ms`, `30s`, `5m`. */
function time(text: string): number {
  const match = /^(\d{1,6})(ms|s|m)$/.exec(text);
  if (match === null) throw new SimError('usage', `'${text}' is no time. Write 500ms, 30s or 5m.`);
  return Number(match[1]) * { ms: 1, s: 1_000, m: 60_000 }[match[2] as 'ms' | 's' | 'm'];
}
