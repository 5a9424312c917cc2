import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A foreign program that the tests need, and the Debian package that brings it. */
interface Tool {
  readonly name: string;
  readonly packages: readonly string[];
  readonly found: () => boolean;
}

const GO_DIRS = ['/usr/local/go/bin', '/usr/lib/go/bin'];

const onPath = (program: string, more: readonly string[] = []): boolean =>
  [...(process.env['PATH'] ?? '').split(delimiter), ...more].some(
    (dir) => dir !== '' && existsSync(join(dir, program)),
  );

const postgres = (): boolean =>
  existsSync('/usr/lib/postgresql') &&
  readdirSync('/usr/lib/postgresql').some(
    (major) => Number(major) >= 15 && existsSync(join('/usr/lib/postgresql', major, 'bin', 'initdb')),
  );

const TOOLS: readonly Tool[] = [
  { name: 'PostgreSQL 15 or later', packages: ['postgresql'], found: postgres },
  { name: 'Chromium', packages: ['chromium'], found: () => onPath('chromium', ['/usr/bin']) },
  { name: 'strongSwan pki', packages: ['strongswan-pki'], found: () => onPath('pki', ['/usr/bin']) },
  { name: 'zbar', packages: ['zbar-tools'], found: () => onPath('zbarimg', ['/usr/bin']) },
  {
    name: 'strongSwan plugins',
    packages: ['libstrongswan-standard-plugins', 'libstrongswan-extra-plugins'],
    // without the first it knows no elliptic curves, without the second it cannot fetch
    found: () => ['openssl', 'curl'].every((plugin) => existsSync(`/usr/lib/ipsec/plugins/libstrongswan-${plugin}.so`)),
  },
  {
    name: 'Python 3 with venv',
    packages: ['python3', 'python3-venv'],
    found: () => spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0,
  },
  { name: 'age', packages: ['age'], found: () => onPath('age') },
  {
    name: 'aiosmtpd',
    packages: ['python3-aiosmtpd'],
    found: () => existsSync('/usr/lib/python3/dist-packages/aiosmtpd'),
  },
  {
    name: 'Alertmanager',
    packages: ['prometheus-alertmanager'],
    found: () => onPath('prometheus-alertmanager', ['/usr/bin']),
  },
  { name: 'OpenSSL', packages: ['openssl'], found: () => onPath('openssl', ['/usr/bin']) },
  { name: 'nghttpd', packages: ['nghttp2-server'], found: () => onPath('nghttpd', ['/usr/bin']) },
  { name: 'systemd-creds', packages: ['systemd'], found: () => onPath('systemd-creds', ['/usr/bin']) },
  { name: 'SoftHSM', packages: ['softhsm2', 'opensc'], found: () => onPath('softhsm2-util') && onPath('pkcs11-tool') },
  { name: 'iproute2', packages: ['iproute2'], found: () => onPath('ip', ['/usr/sbin', '/sbin']) },
  {
    name: 'Go',
    packages: ['golang-go', 'golang-golang-x-mod-dev', 'ca-certificates'],
    found: () => onPath('go', GO_DIRS),
  },
];

/**
 * Makes sure that the foreign programs are there: as root on Debian they are installed, otherwise the command is named.
 * Returns the directories to add to PATH. Throws an Error whose message tells what to do.
 */
export function ensureTools(say: (line: string) => void): readonly string[] {
  const missing = TOOLS.filter((tool) => !tool.found());
  if (missing.length > 0) {
    const packages = missing.flatMap((tool) => tool.packages);
    const what = missing.map((tool) => tool.name).join(', ');
    const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
    if (process.getuid?.() !== 0 || !onPath('apt-get')) {
      throw new Error(`The tests need ${what}. As root on Debian: ${command}`);
    }
    say(`installing ${what} (${command})`);
    install(packages);
    const still = missing.filter((tool) => !tool.found()).map((tool) => tool.name);
    if (still.length > 0) throw new Error(`Still missing after the installation: ${still.join(', ')}.`);
  }
  return GO_DIRS.filter((dir) => existsSync(dir));
}

function install(packages: readonly string[]): void {
  const apt = (...args: string[]) =>
    execFileSync('apt-get', args, {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  apt('update', '-q');
  if (packages.includes('postgresql')) {
    // The package would start a server of its own; the tests start theirs.
    apt('install', '-y', '-q', '--no-install-recommends', 'postgresql-common');
    const file = '/etc/postgresql-common/createcluster.conf';
    execFileSync('sed', ['-i', 's/^#*create_main_cluster.*/create_main_cluster = false/', file]);
  }
  apt('install', '-y', '-q', '--no-install-recommends', ...packages);
}
