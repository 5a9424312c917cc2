import { readFileSync } from 'node:fs';
import { BartizanError } from '#base';
import type { IdentityKind } from '#fleet';
import type { KeySettings } from '#keeper';
import type { Caps, PublicKeys, RemoteDoor } from '#seal';
import type { DevicePlaneSettings } from './device-plane.ts';
import type { PeopleSettings } from './people-settings.ts';
import type { SearchSettings } from './search-settings.ts';

/** A file of core's own, or a key pair in a PKCS #11 token that was made there; the PIN is the first line of a file. */
export type CaKey =
  | { readonly source: 'file' }
  | {
      readonly source: 'pkcs11';
      readonly module: string;
      readonly token: string;
      readonly key: string;
      readonly pinFile: string;
      readonly environment?: Readonly<Record<string, string>>;
    };

/** How much the walls of an installation are worth; measured at every start, never rounded up (SECURITY.md). */
export type Level = 'L0' | 'L1' | 'L2';

/** What one process is told at start: its file is owned and readable by that process alone. */
export interface ProcessConfig {
  readonly name: string;
  /** Instance directory. */
  readonly home: string;
  /** Organisation id; part of the associated data of every sealed value. */
  readonly org: string;
  readonly level: Level;
  /** The process's own private directory, 0700. */
  readonly state: string;
  /** The public transparency log (tiles, checkpoint). */
  readonly logDir: string;
  /** Absent only while the process is being initialised. */
  readonly publicKeys?: PublicKeys;
  readonly sockets: {
    /** Our own socket of the sealer and of the ledger, if we have one. */
    readonly sealer?: string;
    readonly ledger?: string | RemoteDoor;
    /** The sealer's and glass's, of the keeper of keys, where one runs. */
    readonly keeper?: string;
    readonly intake?: string;
    /** Where we listen, by caller. */
    readonly listen: Readonly<Record<string, string>>;
  };
  /** Where the ledger listens for the callers of another host, and the folder of its certificates. */
  readonly remote?: { readonly host: string; readonly port: number; readonly folder: string };
  readonly database?: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  readonly http?: { readonly host: string; readonly port: number };
  readonly origins: { readonly console: string; readonly glass: string; readonly edge: string };
  readonly caps: Caps;
  /** APNs topic named in enrolment profiles. */
  readonly topic: string;
  /** Where core reaches APNs; Apple's own if it is left out. `ca`: PEM of its authority if not one of the system's. */
  readonly push?: { readonly url: string; readonly ca?: string };
  /** Days that a device certificate counts (365), and how many before its end it is renewed (90). */
  readonly certificates?: { readonly deviceDays?: number; readonly renewDays?: number };
  /** The least that an enrolment may ask for, and PEM texts of the attestation roots that are believed: core's. */
  readonly identity?: IdentityKind;
  readonly attestationRoots?: readonly string[];
  /** Whether enrolment profiles are signed; yes if it is left out. */
  readonly signProfiles?: boolean;
  /** Where the device CA's key is; a file of core's if it is left out. */
  readonly caKey?: CaKey;
  /** Where core reads which system versions Apple signs (gdmf); not read if it is left out. */
  readonly releases?: { readonly url: string; readonly ca?: string };
  /** Worker processes of edge; 1 if it is left out. */
  readonly edgeWorkers?: number;
  /** What edge answers where Apple leaves it to the organisation. */
  readonly devicePolicy?: DevicePlaneSettings;
  /** Where organisation keys live: the sealer's and the keeper's; in the sealer's files if it is left out. */
  readonly keys?: KeySettings;
  /** How people are taken in. */
  readonly people?: PeopleSettings;
  /** What can be searched: told to the guards, to glass and to the console; absent if nothing can. */
  readonly search?: SearchSettings;
  /** True for the demonstration: shown on every page. */
  readonly demo: boolean;
}

const MEMBERS = new Set([
  ...['name', 'home', 'org', 'level', 'state', 'logDir', 'publicKeys', 'sockets', 'database', 'http', 'origins'],
  ...['identity', 'attestationRoots'],
  ...['caps', 'topic', 'demo', 'edgeWorkers', 'devicePolicy', 'push', 'releases'],
  ...['certificates', 'signProfiles', 'caKey', 'people', 'remote', 'keys', 'search'],
]);

/** Codes: `usage`, `config`, `in-use`, `start-failed`, `not-founded`. */
export class RunError extends BartizanError {}

/**
 * Reads `--config FILE` from the command line. Unknown or missing members refuse to start: a setting that is not
 * understood is a setting that does not hold.
 */
export function readProcessConfig(name: string, argv: readonly string[] = process.argv): ProcessConfig {
  const at = argv.indexOf('--config');
  const file = at < 0 ? undefined : argv[at + 1];
  if (file === undefined)
    throw new RunError('usage', `Start it with 'bartizan start'; ${name} alone needs --config FILE.`);
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new RunError('config', 'The configuration file cannot be read or is not JSON.', { cause });
  }
  for (const member of Object.keys(value)) {
    if (!MEMBERS.has(member)) throw new RunError('config', `The configuration has an unknown setting: ${member}.`);
  }
  for (const member of [
    'name',
    'home',
    'org',
    'level',
    'state',
    'logDir',
    'sockets',
    'origins',
    'caps',
    'topic',
    'demo',
  ]) {
    if (value[member] === undefined) throw new RunError('config', `The configuration lacks the setting ${member}.`);
  }
  if (value['name'] !== name) throw new RunError('config', `This configuration is for ${String(value['name'])}.`);
  return value as unknown as ProcessConfig;
}
