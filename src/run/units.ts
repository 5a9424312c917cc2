import { join } from 'node:path';
import { nodeArgsOf } from './child.ts';
import { evidenceFolder, type Home, ledgerElsewhere, PROCESSES, type ProcessName, uidOf } from './home.ts';
import { processesOf } from './supervisor.ts';

/** Which addresses a process may speak to and from; the guards have none on one host. */
const NETWORK: Readonly<Record<ProcessName, 'none' | 'loopback' | 'any'>> = {
  ...{ sealer: 'none', ledger: 'none' },
  ...{ intake: 'loopback', console: 'loopback', glass: 'loopback' },
  // Apple's services, the identity provider of accounts; mail and SMS gateways; tokens and key services.
  ...{ core: 'any', edge: 'any', courier: 'any', keeper: 'any' },
};

/**
 * systemd units, by file name: one prepares the instance and runs PostgreSQL, each process has one of its own. What a unit cannot
 * reach does not exist for it: other processes' state, homes, devices, the network where there is none to have.
 */
export function systemdUnits(home: Home, extra: { readonly start: readonly string[] }): ReadonlyMap<string, string> {
  const processes = processesOf(home);
  const units = new Map<string, string>();
  units.set('bartizan.service', baseUnit(home, processes, extra.start));
  for (const name of processes) units.set(`bartizan-${name}.service`, processUnit(home, name));
  return units;
}

function baseUnit(home: Home, processes: readonly ProcessName[], start: readonly string[]): string {
  return unit({
    Unit: [
      'Description=Bartizan: instance and database',
      'After=network-online.target',
      'Wants=network-online.target',
      `Wants=${processes.map((name) => `bartizan-${name}.service`).join(' ')}`,
    ],
    Service: [
      'Type=notify',
      'NotifyAccess=all',
      `ExecStart=${[join(home.code, 'bin', 'bartizan'), 'start', '--home', home.dir, '--by-systemd', ...start].join(' ')}`,
      'Restart=on-failure',
      'RestartSec=2s',
      'TimeoutStartSec=180s',
      // It makes users' directories, starts PostgreSQL as its user, and nothing else.
      'CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETUID CAP_SETGID CAP_KILL',
      'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
      'IPAddressDeny=any',
      'IPAddressAllow=localhost',
      `ReadWritePaths=${home.dir} ${home.run}`,
      ...COMMON,
    ],
    Install: ['WantedBy=multi-user.target'],
  });
}

function processUnit(home: Home, name: ProcessName): string {
  const uid = uidOf(name) ?? 'root';
  const network = ledgerElsewhere(home) && NETWORK[name] === 'none' ? 'any' : NETWORK[name];
  // The log lies in the ledger's folder, and those with pages and rules read it; users and modes guard the rest of that folder.
  const others = PROCESSES.filter((one) => one !== name && !(one === 'ledger' && name !== 'sealer'));
  return unit({
    Unit: [
      `Description=Bartizan: ${name}`,
      'BindsTo=bartizan.service',
      'After=bartizan.service',
      ...(name === 'ledger' || name === 'sealer' ? [] : ['After=bartizan-ledger.service bartizan-sealer.service']),
    ],
    Service: [
      'Type=exec',
      `User=${uid}`,
      `Group=${uid}`,
      `ExecStart=${[home.node, ...nodeArgsOf(name), join(home.code, 'src', 'run', `${name}.ts`), '--config', home.config(name)].join(' ')}`,
      'Environment=NODE_ENV=production TZ=UTC',
      'Restart=on-failure',
      'RestartSec=1s',
      // 74: a guard found its log unusable. Starting it again would not mend that.
      'RestartPreventExitStatus=74',
      'TimeoutStopSec=5s',
      'CapabilityBoundingSet=',
      'AmbientCapabilities=',
      'PrivateUsers=no',
      `ReadWritePaths=${home.state(name)} ${home.run}${name === 'core' ? ` ${evidenceFolder(home)}` : ''}`,
      `InaccessiblePaths=${[...others.map((one) => `-${home.state(one)}`), `-${join(home.dir, 'pg', 'data')}`, `-${join(home.dir, 'supervisor')}`, `-${join(home.dir, 'logs')}`].join(' ')}`,
      ...NETWORKS[network],
      ...COMMON,
      'ProcSubset=pid',
      'SystemCallFilter=~@privileged @resources',
      'SystemCallFilter=~execveat ptrace process_vm_readv process_vm_writev unshare setns pidfd_getfd io_uring_setup',
    ],
    Install: ['WantedBy=bartizan.service'],
  });
}

const NETWORKS = {
  none: ['PrivateNetwork=yes', 'RestrictAddressFamilies=AF_UNIX', 'IPAddressDeny=any'],
  loopback: ['RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6', 'IPAddressDeny=any', 'IPAddressAllow=localhost'],
  any: ['RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6'],
} as const;

/**
 * For all of them. `MemoryDenyWriteExecute` is not here: V8 compiles to memory that it writes and runs, and without its compiler
 * (`--jitless`) Node 24 cannot read TypeScript.
 */
const COMMON = [
  'NoNewPrivileges=yes',
  'LimitCORE=0',
  'UMask=0077',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'DevicePolicy=closed',
  'ProtectProc=invisible',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectControlGroups=yes',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'KeyringMode=private',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallErrorNumber=EPERM',
];

const unit = (sections: Readonly<Record<string, readonly string[]>>): string =>
  `# Made by 'bartizan units'. Change settings with it, not here.\n${Object.entries(sections)
    .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`)
    .join('\n')}`;
