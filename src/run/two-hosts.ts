import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Caps, DEFAULT_CAPS, type GuardClient, GuardError, guardClient, type RemoteDoor } from '#seal';
import { type Level, RunError } from './config.ts';
import { DOORS, type Home, isRoot, ledgerDoor, ledgerElsewhere, type ProcessName, uidOf } from './home.ts';
import { FOUNDING, firstToEnd, type LedgerAddress, ledgerCallers } from './hosts.ts';

const FOUND_MS = 60_000;
const PATIENCE_MS = 180_000;

/**
 * What the walls of this host are worth: L1 if every process has a user of its own, L2 if besides the ledger is on another
 * host. An address of this machine is no other host.
 */
export function levelOf(home: Home): Level {
  if (!isRoot()) return 'L0';
  if (!ledgerElsewhere(home)) return 'L1';
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const { host } = addressOf(home);
  return own.includes(host) || /^127\.|^::1$|^0\.0\.0\.0$|^::$/.test(host) ? 'L1' : 'L2';
}

/** Address of the ledger's host, as the bundle says. */
export function addressOf(home: Home): LedgerAddress {
  return JSON.parse(readFileSync(join(ledgerDoor(home), 'door.json'), 'utf8')) as LedgerAddress;
}

/** The door of the ledger for one caller of this host. */
export function remoteLedger(home: Home, caller: string): RemoteDoor {
  const at = (file: string) => join(ledgerDoor(home), file);
  return { ...addressOf(home), ca: at('authority.pem'), cert: at(`${caller}.pem`), key: at(`${caller}.key`) };
}

/** Which of this host's certificates for the ledger ends first, and in how many days; undefined on one host. */
export function certificateToEnd(home: Home, now: number): { name: string; days: number } | undefined {
  return ledgerElsewhere(home) ? firstToEnd(ledgerDoor(home), ledgerCallers(), now) : undefined;
}

/**
 * Puts the first host's bundle in its place: each caller's key is readable by that caller alone. The address is written last;
 * from then on the ledger is elsewhere. Throws RunError if this host has a ledger of its own.
 */
export function installFirstHost(home: Home, bundle: string): void {
  if (existsSync(join(home.state('ledger'), 'journal'))) {
    throw new RunError('config', 'This host has a ledger of its own. A ledger elsewhere is for a new installation.');
  }
  const founding = existsSync(join(bundle, `${FOUNDING}.key`)) ? [FOUNDING] : [];
  const names = ledgerCallers();
  const missing = [...names, 'door'].find(
    (name) => !existsSync(join(bundle, name === 'door' ? 'door.json' : `${name}.key`)),
  );
  if (missing !== undefined)
    throw new RunError('usage', `${bundle} is no bundle for the first host: ${missing} is missing.`);
  const place = placer(home, bundle);
  place('authority.pem', 0o444);
  for (const name of [...names, ...founding]) {
    place(`${name}.pem`, 0o444);
    place(`${name}.key`, 0o400, name === FOUNDING ? undefined : uidOf(name as ProcessName));
  }
  place('door.json', 0o444);
}

/** The same for the ledger's host. A renewed list of callers replaces the one that is there. */
export function installLedgerHost(home: Home, bundle: string): void {
  if (!existsSync(join(bundle, 'ledger.key')))
    throw new RunError('usage', `${bundle} is no bundle for the ledger's host.`);
  const place = placer(home, bundle);
  const uid = uidOf('ledger');
  for (const name of ['authority.pem', 'ledger.pem', 'callers.json', 'door.json']) place(name, 0o444);
  place('ledger.key', 0o400, uid);
}

/** Takes a caller off the list on the ledger's host: its connections end within a second. */
export function removeCaller(home: Home, caller: string): void {
  const file = join(ledgerDoor(home), 'callers.json');
  if (!existsSync(file)) throw new RunError('usage', 'This is not the ledger’s host, or not its --home.');
  const callers = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string[]>;
  if (!Object.hasOwn(callers, caller)) throw new RunError('usage', `There is no caller '${caller}' on the list.`);
  delete callers[caller];
  replace(file, JSON.stringify(callers, null, 1), 0o444);
}

function placer(home: Home, bundle: string) {
  const folder = ledgerDoor(home);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o711);
  return (name: string, mode: number, uid?: number) =>
    replace(join(folder, name), readFileSync(join(bundle, name)), mode, uid);
}

function replace(file: string, bytes: Uint8Array | string, mode: number, uid?: number): void {
  writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
  if (uid !== undefined) chownSync(`${file}.new`, uid, uid);
  chmodSync(`${file}.new`, mode);
  renameSync(`${file}.new`, file);
}

/** What the first host tells the ledger's once, at founding. */
export interface Meeting {
  readonly org: string;
  readonly origins: { readonly console: string; readonly glass: string; readonly edge: string };
  readonly caps: object;
  /** As `--init` of the ledger takes it. */
  readonly founding: object;
  /** The public keys of this host. */
  readonly keys: object;
}

/** The keys of a ledger that is on another host, founded now; nothing on one host. */
export async function foundElsewhere(
  home: Home,
  options: { readonly org: string; readonly origins: Meeting['origins']; readonly caps?: Partial<Caps> },
  keys: object,
  founding: object,
): Promise<Record<string, string>> {
  if (!ledgerElsewhere(home)) return {};
  const { org, origins } = options;
  const meeting = { org, origins, caps: { ...DEFAULT_CAPS, ...options.caps }, founding, keys };
  return meetLedger(home, meeting, (line) => void process.stderr.write(`${line}\n`));
}

/**
 * Founds the ledger on its host and returns its public keys. Waits until that host is there. The certificate for this is used
 * once and thrown away by both.
 */
async function meetLedger(home: Home, meeting: Meeting, say: (line: string) => void): Promise<Record<string, string>> {
  const client: GuardClient = guardClient(remoteLedger(home, FOUNDING), { name: 'ledger', timeoutMs: FOUND_MS });
  const { host, port } = addressOf(home);
  try {
    for (let waited = 0; ; waited += 500) {
      try {
        const keys = await client.call<Record<string, string>>('meet', meeting);
        for (const end of ['pem', 'key']) rmSync(join(ledgerDoor(home), `${FOUNDING}.${end}`));
        return keys;
      } catch (error) {
        if (!(error instanceof GuardError) || error.code !== 'unreachable' || waited > PATIENCE_MS) throw error;
        if (waited === 0) say(`waiting for the ledger's host, ${host} port ${port}`);
        await sleep(500);
      }
    }
  } catch (cause) {
    throw new RunError(
      'start-failed',
      `The ledger on ${host} was not founded. Is 'bartizan ledger' running there, with its bundle?`,
      { cause },
    );
  } finally {
    client.close();
  }
}

/** The doors that have a socket on this host. */
export const localDoors = (home: Home) => DOORS.filter(([server]) => server !== 'ledger' || !ledgerElsewhere(home));
