import { spawnSync } from 'node:child_process';
import { isRoot, type ProcessName } from './home.ts';

/** The two that need nothing but sockets in the file system. */
const WITHOUT_NETWORK: ReadonlySet<string> = new Set(['sealer', 'ledger']);

/** What this machine lets us take away from a process. */
export interface Confinement {
  /** util-linux is here: no new privileges, no capabilities, no core dumps. */
  readonly stripped: boolean;
  /** The guards can be put into a network of their own, which has no interface that leads anywhere. */
  readonly netless: boolean;
}

let known: Confinement | undefined;

/** Looks once whether `setpriv`, `prlimit` and `unshare` (util-linux) work here. Without them processes run as they are. */
export function confinement(): Confinement {
  if (known === undefined) {
    const works = (...command: readonly string[]) =>
      spawnSync(command[0]!, command.slice(1), { stdio: 'ignore' }).status === 0;
    const stripped = works(...strip(undefined), 'true');
    known = { stripped, netless: stripped && works(...networkless(), 'true') };
  }
  return known;
}

/**
 * The command that starts a process with as little as it needs. All of its parts replace themselves by the next one (execve), so
 * the process id stays that of the child. As root the user changes here, after the namespaces are made.
 */
export function confined(
  name: ProcessName,
  command: readonly [string, ...string[]],
  uid: number | undefined,
  options: { readonly network?: boolean } = {},
): { readonly file: string; readonly args: readonly string[]; readonly uid?: number; readonly gid?: number } {
  const { stripped, netless } = confinement();
  if (!stripped) {
    const [file, ...args] = command;
    return { file, args, ...(uid === undefined ? {} : { uid, gid: uid }) };
  }
  const alone = netless && WITHOUT_NETWORK.has(name) && options.network !== true;
  const [file, ...args] = [...(alone ? networkless() : []), ...strip(uid), ...command] as [string, ...string[]];
  return { file, args };
}

function strip(uid: number | undefined): string[] {
  const user = uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  // Only who has capabilities may empty the bounding set; the others have nothing in it that they could use.
  const capabilities = isRoot() ? ['--bounding-set=-all', '--inh-caps=-all'] : [];
  return ['prlimit', '--core=0', '--', 'setpriv', ...user, ...capabilities, '--no-new-privs', '--'];
}

/** Not root: a user namespace gives the right to make the others; the user stays the same in it. */
const networkless = (): string[] => [
  ...['unshare', ...(isRoot() ? [] : ['--user', '--map-current-user']), '--net', '--ipc', '--uts', '--'],
];
