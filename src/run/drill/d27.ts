import { spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { keysReport } from '../cli-keys.ts';
import { DOORS, PROCESSES, type ProcessName, uidOf } from '../home.ts';
import type { Product } from '../supervisor.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';

/** A key of the installation: where it lies, and whose it is. */
interface HeldKey {
  readonly name: string;
  readonly owner: ProcessName;
  /** The file that has it; undefined where none may have it. */
  readonly file?: string;
  readonly source: string;
  readonly days: number;
  readonly secret?: Buffer;
}

interface Got {
  readonly way: string;
  readonly target: string;
  readonly keys: readonly string[];
}

/** Node's inspector listens here and, if that is taken, nowhere else. */
const INSPECTOR = 9229;

/**
 * D27, theft of keys: with the user of each process in turn, every way to the keys of all others is tried: files, memory, open files,
 * environment, sockets, signals, Node's inspector. Then it is looked at which process's own folder holds which key: the organisation's
 * must be where its source says and nowhere else. The inventory of keys with their ages is evidence.
 */
export async function drillD27({ product, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  const report = await keysReport(product.home);
  const keys = inventory(product, report.current);
  const pids = product.pids();
  const running = PROCESSES.filter((name) => pids[name] !== undefined);
  const walls = product.level !== 'L0';
  let tried = 0;
  let got: Got[] = [];
  for (const thief of running) {
    const targets = running
      .filter((name) => name !== thief)
      .map((name) => ({
        name,
        pid: pids[name]!,
        folders: foldersOf(product, name),
        sockets: socketsOf(product, name, thief),
      }));
    tried += targets.reduce((sum, { folders, sockets }) => sum + folders.length + sockets.length + 8, 0);
    const own = new Set(keys.filter(({ owner }) => owner === thief).map(({ name }) => name));
    const secrets = Object.fromEntries(
      keys.flatMap(({ name, secret }) =>
        secret === undefined || own.has(name) ? [] : [[name, secret.toString('hex')]],
      ),
    );
    got = got.concat(steal(product, thief, { secrets, targets, inspectors: [INSPECTOR] }));
  }
  const taken = got.flatMap((one) => one.keys);
  // At L0 all share one user: whoever has one process has the keys, and the drill says so instead of passing it over.
  if (walls) {
    steps.add('keys that a process could take from another', 0, taken.length);
    steps.add('memories that a process could read of another', 0, count(got, 'memory'));
    steps.add('folders that a process could read of another', 0, count(got, 'files'));
    steps.add(
      'open files and environments that a process could read of another',
      0,
      count(got, 'open files', 'environ'),
    );
    steps.add('sockets that opened for a process that is not their caller', 0, count(got, 'sockets'));
    steps.add('processes that took a signal of another', 0, count(got, 'signals'));
  } else {
    steps.add('without users of their own the guards’ keys lie open to every process', true, taken.length > 0);
  }
  // The same thief without a wall in his way: a search that finds nothing anywhere would prove nothing.
  const control = steal(product, undefined, {
    secrets: Object.fromEntries(
      keys.flatMap(({ name, owner, secret }) => (owner === 'sealer' && secret ? [[name, secret.toString('hex')]] : [])),
    ),
    targets: [{ name: 'sealer', pid: pids['sealer']!, folders: foldersOf(product, 'sealer'), sockets: [] }],
    inspectors: [],
  });
  const found = (way: string) => control.some((one) => one.way === way && one.keys.length > 0);
  steps.add(
    'the thief finds the sealer’s keys in its files and memory where no wall is',
    true,
    found('files') && found('memory'),
  );
  steps.add('inspectors that opened', 0, count(got, 'inspector'));
  steps.add('processes that would leave a core file', 0, running.filter((name) => leavesCore(pids[name]!)).length);
  judgeOrganisationKey(steps, product, keys, report.current.source);
  const sealed = keys.find(({ name }) => name === 'organisation');
  return {
    ok: steps.ok,
    steps: steps.all,
    evidence: {
      level: product.level,
      attempts: tried,
      reached: got.map(({ way, target }) => `${way} of ${target}`).sort(),
      organisation: { ...report.current, key: undefined, days: sealed?.days },
      keys: keys.map(({ name, owner, source, days }) => ({ name, owner, source, days })),
    },
  };
}

const count = (got: readonly Got[], ...ways: string[]): number => got.filter(({ way }) => ways.includes(way)).length;

/** Whose folder holds the organisation's key as bytes: the sealer's alone, and only where the source is a file. */
function judgeOrganisationKey(steps: Steps, product: Product, keys: readonly HeldKey[], source: string): void {
  const secret = keys.find(({ name }) => name === 'organisation')?.secret;
  const holders =
    secret === undefined ? [] : PROCESSES.filter((name) => foldersOf(product, name).some((dir) => holds(dir, secret)));
  steps.add('folders that hold the organisation’s key', source === 'file' ? 'sealer' : '', holders.join());
  const leftBehind = readdirSync(product.home.state('sealer')).filter((name) =>
    /^organisation(-\d+)?\.key$/.test(name),
  );
  if (source !== 'file') steps.add('old organisation keys that lie about in files', 0, leftBehind.length);
}

/** Every private key of the installation, with its age in days. The secret of a P-256 token key does not exist outside it. */
function inventory(product: Product, organisation: { readonly number: number; readonly source: string }): HeldKey[] {
  const found: HeldKey[] = [];
  const now = Date.now();
  for (const owner of PROCESSES) {
    const dir = product.home.state(owner);
    for (const name of existsSync(dir) ? readdirSync(dir) : []) {
      if (!/\.(key|pem)$/.test(name)) continue;
      const file = join(dir, name);
      const secret = secretOf(readFileSync(file));
      if (secret === undefined) continue;
      const days = Math.floor((now - statSync(file).mtimeMs) / 86_400_000);
      found.push({ name: nameOf(owner, name, organisation.number), owner, file, source: 'file', days, secret });
    }
  }
  if (!found.some(({ name }) => name === 'organisation')) {
    found.push({ name: 'organisation', owner: 'sealer', source: organisation.source, days: 0 });
  }
  return found;
}

function nameOf(owner: ProcessName, file: string, number: number): string {
  const current = number === 1 ? 'organisation.key' : `organisation-${number}.key`;
  return owner === 'sealer' && file === current ? 'organisation' : `${owner} ${file.replace(/\.(key|pem)$/, '')}`;
}

/** The secret bytes of a private key file, or of a file of 32 plain bytes; undefined for certificates. */
function secretOf(bytes: Buffer): Buffer | undefined {
  try {
    const text = bytes.toString('latin1');
    const key = text.includes('-----BEGIN')
      ? createPrivateKey(bytes)
      : createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' });
    const { d } = key.export({ format: 'jwk' });
    return typeof d === 'string' ? Buffer.from(d, 'base64url') : undefined;
  } catch {
    return bytes.length === 32 ? bytes : undefined;
  }
}

function foldersOf(product: Product, name: ProcessName): string[] {
  return [product.home.state(name), product.home.config(name)].filter((path) => existsSync(path));
}

/** Sockets of a server that this process has no business with. */
function socketsOf(product: Product, server: ProcessName, thief: ProcessName): string[] {
  return DOORS.filter(([one, caller]) => one === server && caller !== thief).map(([one, caller]) =>
    product.home.socket(one, caller),
  );
}

function holds(dir: string, secret: Buffer): boolean {
  const files = statSync(dir).isDirectory()
    ? readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [dir];
  return files.some((file) => {
    const bytes = readFileSync(file);
    return [secret, Buffer.from(secret.toString('base64url')), Buffer.from(secret.toString('hex'))].some((form) =>
      bytes.includes(form),
    );
  });
}

/** Runs the thief with the process's user. Throws if it could not be run: a thief that did not run proves nothing. */
function steal(product: Product, name: ProcessName | undefined, orders: object): Got[] {
  const uid = name === undefined ? undefined : uidOf(name);
  const done = spawnSync(
    product.home.node,
    ['--disable-warning=ExperimentalWarning', join(product.home.code, 'src', 'run', 'drill', 'key-thief.ts')],
    {
      ...{
        input: JSON.stringify(orders),
        env: { PATH: '/usr/bin:/bin' },
        cwd: '/',
        maxBuffer: 1 << 24,
        timeout: 60_000,
      },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
  if (done.status !== 0)
    throw new Error(`the thief with the user of ${name ?? 'the supervisor'} did not run: ${done.stderr}`);
  return JSON.parse(done.stdout.toString('utf8')) as Got[];
}

/** Whether a crash of this process would write its memory to disk. */
function leavesCore(pid: number): boolean {
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  return !/^Max core file size +0 +0 /m.test(limits);
}
