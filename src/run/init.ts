import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBase64url, newPersonHandle, newToken, sha256, toBase64url } from '#base';
import type { IdentityKind } from '#fleet';
import { type Caps, DEFAULT_CAPS, type PublicKeys, type RecoveryKey, type Role } from '#seal';
import { type DatabaseConfig, type ProcessRole, roleName } from '#store';
import { type CaKey, type ProcessConfig, RunError } from './config.ts';
import type { DevicePlaneSettings } from './device-plane.ts';
import { DOORS, type Home, ledgerElsewhere, PROCESSES, type ProcessName, uidOf } from './home.ts';
import { needsKeeper, readKeySettings } from './key-settings.ts';
import type { PeopleSettings } from './people-settings.ts';
import type { SearchSettings } from './search-settings.ts';
import { foundElsewhere, levelOf, localDoors, remoteLedger } from './two-hosts.ts';
import { makePens, pinsOf } from './writers.ts';

/** Whoever opens this link first becomes that admin; the guards know only the token's hash. */
export interface Founder {
  readonly admin: string;
  readonly role: Role;
  readonly token: string;
}

export interface InstanceOptions {
  readonly org: string;
  readonly portBase: number;
  readonly founders: number;
  readonly caps?: Partial<Caps>;
  readonly topic: string;
  readonly demo: boolean;
  /** The least that an enrolment may ask for; default SCEP. */
  readonly identity?: IdentityKind;
  /** PEM texts of the roots whose device attestations are believed; none: none is. */
  readonly attestationRoots?: readonly string[];
  /** Worker processes of edge. */
  readonly edgeWorkers: number;
  /** What edge answers where Apple leaves it to the organisation. */
  readonly devicePolicy?: DevicePlaneSettings;
  /** Whether enrolment profiles are signed; yes if it is left out. */
  readonly signProfiles?: boolean;
  /** Where the device CA's key is; a file of core's if it is left out. */
  readonly caKey?: CaKey;
  /** Days of device certificates, and before their end to renew. */
  readonly certificates?: { readonly deviceDays?: number; readonly renewDays?: number };
  /** How people are taken in. */
  readonly people?: PeopleSettings;
  /** What can be searched; nothing if it is left out. */
  readonly search?: SearchSettings;
  /** Where core reaches APNs, if not at Apple's own origin. */
  readonly push?: { readonly url: string; readonly ca?: string };
  /** Where the list of signed system versions is read (Apple's gdmf format); none is read if it is left out. */
  readonly releases?: { readonly url: string; readonly ca?: string };
  /** Public half of the offline recovery key, or its signing half alone; both guards pin it at the founding. */
  readonly recovery?: RecoveryKey | string;
}

export const ORIGINS = (portBase: number) => ({
  console: `http://localhost:${portBase}`,
  glass: `http://glass.localhost:${portBase + 1}`,
  edge: `http://127.0.0.1:${portBase + 2}`,
});

const PORT: Partial<Record<ProcessName, number>> = { console: 0, glass: 1, edge: 2, intake: 3 };

export const isFounded = (home: Home): boolean => existsSync(join(home.dir, 'supervisor', 'founded'));

export function readFounders(home: Home): Founder[] {
  return JSON.parse(readFileSync(join(home.dir, 'supervisor', 'founding.json'), 'utf8')) as Founder[];
}

/** Who is told what can be searched. */
const SEARCHING: ReadonlySet<ProcessName> = new Set(['ledger', 'sealer', 'glass', 'console']);

/** Writes the configuration of every process, each readable by that process alone. */
export function writeConfigs(
  home: Home,
  options: InstanceOptions,
  database: { admin: DatabaseConfig; passwords: Record<ProcessRole, string> },
  publicKeys?: PublicKeys,
): void {
  const level = levelOf(home);
  const elsewhere = ledgerElsewhere(home);
  const keys = readKeySettings(home);
  for (const name of PROCESSES.filter((one) => one !== 'ledger' || !elsewhere)) {
    const client = (server: ProcessName) => {
      if (!DOORS.some(([s, c]) => s === server && c === name)) return {};
      return { [server]: server === 'ledger' && elsewhere ? remoteLedger(home, name) : home.socket(server, name) };
    };
    const listen = Object.fromEntries(
      localDoors(home)
        .filter(([s]) => s === name)
        .map(([s, c]) => [c, home.socket(s, c)]),
    );
    const role = name in database.passwords ? (name as ProcessRole) : undefined;
    const port = PORT[name];
    const { host, port: pgPort, database: pgName } = database.admin;
    const config: ProcessConfig = {
      name,
      home: home.dir,
      org: options.org,
      level,
      state: home.state(name),
      logDir: join(home.dir, 'ledger', 'log'),
      ...(publicKeys === undefined ? {} : { publicKeys }),
      sockets: {
        ...client('ledger'),
        ...client('sealer'),
        ...client('intake'),
        ...(needsKeeper(keys) ? client('keeper') : {}),
        listen,
      },
      ...((name === 'sealer' || name === 'keeper') && keys !== undefined ? { keys } : {}),
      ...(role === undefined
        ? {}
        : {
            database: {
              host,
              port: pgPort,
              database: pgName,
              user: roleName(role),
              password: database.passwords[role],
            },
          }),
      ...(port === undefined ? {} : { http: { host: '127.0.0.1', port: options.portBase + port } }),
      origins: ORIGINS(options.portBase),
      caps: { ...DEFAULT_CAPS, ...options.caps },
      topic: options.topic,
      demo: options.demo,
      ...(name === 'edge' ? { edgeWorkers: options.edgeWorkers } : {}),
      ...(name === 'core' && options.identity !== undefined ? { identity: options.identity } : {}),
      ...(name === 'core' && options.attestationRoots !== undefined
        ? { attestationRoots: options.attestationRoots }
        : {}),
      ...(name === 'core' && options.caKey !== undefined ? { caKey: options.caKey } : {}),
      ...(name === 'edge' && options.signProfiles !== undefined ? { signProfiles: options.signProfiles } : {}),
      ...(name === 'edge' && options.devicePolicy !== undefined ? { devicePolicy: options.devicePolicy } : {}),
      ...(name === 'core' && options.certificates !== undefined ? { certificates: options.certificates } : {}),
      ...(name === 'core' && options.push !== undefined ? { push: options.push } : {}),
      ...(SEARCHING.has(name) && Object.keys(options.search ?? {}).length > 0 ? { search: options.search! } : {}),
      ...((name === 'intake' || name === 'glass') && options.people !== undefined ? { people: options.people } : {}),
      ...(name === 'core' && options.releases !== undefined ? { releases: options.releases } : {}),
    };
    const file = home.config(name);
    if (existsSync(file)) chmodSync(file, 0o600);
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    const uid = uidOf(name);
    if (uid !== undefined) chownSync(file, uid, uid);
    chmodSync(file, 0o400);
  }
}

/**
 * First start of an empty home: every process makes its own keys as its own user, and the founding tokens are made.
 * A home that was half made is refused, never mended: nobody can say what its keys are worth.
 */
export async function found(
  home: Home,
  options: InstanceOptions,
  database: { admin: DatabaseConfig; passwords: Record<ProcessRole, string> },
): Promise<PublicKeys> {
  const founding = join(home.dir, 'supervisor', 'founding.json');
  if (existsSync(founding)) {
    throw new RunError(
      'not-founded',
      'An earlier first start did not finish. Start anew with --reset (this deletes the half-made data).',
    );
  }
  const founders: Founder[] = Array.from({ length: options.founders }, () => ({
    admin: newPersonHandle(),
    role: 'administrator',
    token: newToken(),
  }));
  writeFileSync(founding, JSON.stringify(founders), { mode: 0o600, flag: 'wx' });
  writeConfigs(home, options, database);
  const writers = makePens(home);
  const { recovery } = options;
  const roster = {
    founders: founders.map(({ admin, role, token }) => ({
      admin,
      role,
      tokenSha256: toBase64url(sha256(fromBase64url(token))),
    })),
    ...(recovery === undefined ? {} : { recovery }),
  };
  const [core, edge, intake, courier, ledger, sealer] = await Promise.all([
    initProcess(home, 'core', ''),
    initProcess(home, 'edge', ''),
    initProcess(home, 'intake', ''),
    initProcess(home, 'courier', ''),
    ledgerElsewhere(home) ? {} : initProcess(home, 'ledger', JSON.stringify({ ...roster, writers: pinsOf(writers) })),
    initProcess(home, 'sealer', JSON.stringify(roster)),
  ]);
  const made = { v: 1, org: options.org, ...ledger, ...sealer, ...core, ...edge, ...intake, ...courier, writers };
  const far = await foundElsewhere(home, { ...options, origins: ORIGINS(options.portBase) }, made, {
    ...roster,
    writers: pinsOf(writers),
  });
  const keys = { ...made, ...far } as unknown as PublicKeys;
  for (const member of ['inner', 'outer', 'ledger', 'log', 'core', 'release', 'intake', 'courier'] as const) {
    if (typeof keys[member] !== 'string') throw new RunError('start-failed', `The first start made no ${member} key.`);
  }
  writeFileSync(join(home.dir, 'public', 'keys.json'), JSON.stringify(keys), { mode: 0o644 });
  if (typeof recovery === 'object') writeRecovery(home, recovery);
  writeFileSync(join(home.dir, 'supervisor', 'instance.json'), JSON.stringify(options), { mode: 0o600 });
  // Written last: without it the home counts as half made.
  writeFileSync(join(home.dir, 'supervisor', 'founded'), new Date().toISOString(), { mode: 0o600 });
  return keys;
}

/** The public half of the recovery key, where every process may read it. */
export function writeRecovery(home: Home, recovery: RecoveryKey): void {
  writeFileSync(join(home.dir, 'public', 'recovery.json'), JSON.stringify(recovery), { mode: 0o644 });
}

/** The last message of a process's log lines. */
function lastMessage(lines: string): string {
  try {
    return String((JSON.parse(lines.trim().split('\n').at(-1) ?? '') as { message?: string }).message);
  } catch {
    return 'its messages say why';
  }
}

/** Runs a process once so that it makes its own keys, as its own user. Returns what it publishes. Throws RunError. */
export function initProcess(
  home: Home,
  name: ProcessName,
  input: string,
  what: '--init' | '--init-search' | '--pin-recovery' | '--restored' = '--init',
): Promise<Record<string, string>> {
  const uid = uidOf(name);
  return new Promise((resolve, reject) => {
    const child = spawn(
      home.node,
      [
        '--disable-warning=ExperimentalWarning',
        join(home.code, 'src', 'run', `${name}.ts`),
        '--config',
        home.config(name),
        what,
      ],
      {
        cwd: '/',
        env: { PATH: '/usr/bin:/bin', TZ: 'UTC' },
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(uid === undefined ? {} : { uid, gid: uid }),
      },
    );
    let out = '';
    let errors = '';
    child.stdout.on('data', (part) => {
      out += part;
    });
    child.stderr.on('data', (part) => {
      errors += part;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(out.trim().split('\n').at(-1) || '{}') as Record<string, string>);
      else
        reject(
          new RunError('start-failed', `${name} ${what} failed: ${lastMessage(errors)}`, {
            cause: new Error(errors.slice(-2000)),
          }),
        );
    });
    child.stdin.end(input);
  });
}
