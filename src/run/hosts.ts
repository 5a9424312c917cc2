import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { LEDGER_NAME } from '#seal';
import { fromPem, issueCertificate, makeCa, parseCertificate, toPem } from '#wire';
import { RunError } from './config.ts';
import { DOORS } from './home.ts';

/** Where the ledger listens for the first host. */
export interface LedgerAddress {
  readonly host: string;
  readonly port: number;
}

/** May speak once, at founding, to the program that founds the ledger; never to the ledger. */
export const FOUNDING = 'founding';
/** Who speaks to the ledger, and so has a certificate of its own. */
export const ledgerCallers = (): readonly string[] =>
  DOORS.filter(([server]) => server === 'ledger').map(([, caller]) => caller);

const AUTHORITY_DAYS = 7_300;
const DAY_MS = 86_400_000;

/** The three folders: the first stays offline, each of the others goes to its host. */
export const bundles = (folder: string) => ({
  authority: join(folder, 'authority'),
  ledger: join(folder, 'ledger-host'),
  first: join(folder, 'first-host'),
});

/** `10.0.0.2:8450`, `[fd00::2]:8450`. An address and no name: who answers for a name is not ours to say. */
export function parseAddress(text: string): LedgerAddress {
  const [, v6, v4, digits] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = v6 ?? v4 ?? '';
  const port = Number(digits);
  if (isIP(host) === 0 || !(port > 0 && port < 65_536))
    throw new RunError(
      'usage',
      `'${text}' is not the address of the ledger's host: give an IP address and a port, such as 10.0.0.2:8450.`,
    );
  return { host, port };
}

/**
 * Makes the authority, which certifies nothing else, and the two hosts' bundles. Fails if the folder holds one. The
 * authority's key is needed again only to renew: keep it where neither host can read it.
 */
export function prepareHosts(folder: string, address: LedgerAddress, options: { days: number; now: number }): void {
  const { authority } = bundles(folder);
  if (existsSync(authority))
    throw new RunError('usage', `${folder} was prepared already. Renew it, or choose another folder.`);
  mkdirSync(authority, { recursive: true, mode: 0o700 });
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const certificate = makeCa(key, { commonName: 'Bartizan guards', days: AUTHORITY_DAYS, now: options.now });
  put(join(authority, 'authority.key'), pem(key));
  put(join(authority, 'authority.pem'), toPem('CERTIFICATE', certificate.der));
  put(join(authority, 'door.json'), JSON.stringify(address));
  writeBundles(folder, address, { ...options, founding: true, before: {} });
}

/**
 * New certificates from the same authority. The list for the ledger's host holds old and new ones, so nothing stops: install
 * there first, then on the first host.
 */
export function renewHosts(folder: string, options: { days: number; now: number }): void {
  const { authority, ledger } = bundles(folder);
  let address: LedgerAddress;
  let before: Record<string, string[]>;
  try {
    address = JSON.parse(readFileSync(join(authority, 'door.json'), 'utf8')) as LedgerAddress;
    before = JSON.parse(readFileSync(join(ledger, 'callers.json'), 'utf8')) as Record<string, string[]>;
  } catch (cause) {
    throw new RunError('usage', `${folder} holds no authority and no bundles. Prepare them first.`, { cause });
  }
  writeBundles(folder, address, { ...options, founding: false, before });
}

function writeBundles(
  folder: string,
  address: LedgerAddress,
  options: { days: number; now: number; founding: boolean; before: Record<string, readonly string[]> },
): void {
  const { authority, ledger, first } = bundles(folder);
  const text = readFileSync(join(authority, 'authority.pem'), 'utf8');
  const ca = {
    certificate: parseCertificate(fromPem(text)),
    key: createPrivateKey(readFileSync(join(authority, 'authority.key'))),
  };
  for (const bundle of [ledger, first]) {
    rmSync(bundle, { recursive: true, force: true });
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    put(join(bundle, 'authority.pem'), text);
    put(join(bundle, 'door.json'), JSON.stringify(address));
  }
  const issue = (bundle: string, name: string, commonName: string, usage: 'device' | 'server'): string => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    const names = usage === 'server' ? { addresses: [LEDGER_NAME] } : {};
    const made = issueCertificate(ca, { spki, commonName, usage, ...names, days: options.days, now: options.now });
    put(join(bundle, `${name}.key`), pem(key));
    put(join(bundle, `${name}.pem`), toPem('CERTIFICATE', made.der));
    return createHash('sha256').update(made.der).digest('hex');
  };
  issue(ledger, 'ledger', LEDGER_NAME, 'server');
  const callers: Record<string, string[]> = {};
  for (const caller of [...ledgerCallers(), ...(options.founding ? [FOUNDING] : [])]) {
    const kept = (options.before[caller] ?? []).slice(-1);
    callers[caller] = [...kept, issue(first, caller, caller, 'device')];
  }
  put(join(ledger, 'callers.json'), JSON.stringify(callers, null, 1));
}

/** Days until the first of a folder's certificates ends, and whose it is; undefined if there is none. */
export function firstToEnd(
  folder: string,
  names: readonly string[],
  now: number,
): { name: string; days: number } | undefined {
  const all = names
    .filter((name) => existsSync(join(folder, `${name}.pem`)))
    .map((name) => ({
      name,
      days: Math.floor(
        (Date.parse(new X509Certificate(readFileSync(join(folder, `${name}.pem`))).validTo) - now) / DAY_MS,
      ),
    }));
  return all.sort((a, b) => a.days - b.days)[0];
}

const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }) as string;

function put(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}
