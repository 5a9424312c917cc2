import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificate, issueCertificate, makeCa, toPem } from '#wire';

export interface Identity {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

/** Keys and certificates of one run, and what openssl and Python made with them. Private keys are never kept. */
export interface Seeds {
  readonly ca: Identity;
  /** The registration authority's: RSA. */
  readonly registration: Identity;
  readonly rsa: Identity;
  readonly ec: Identity;
  /** Runs openssl in a folder where `rsa.pem`, `ec.pem`, `ra.pem` (key and certificate) and `body` lie; answers `out`. */
  openssl(...args: string[]): Buffer;
}

export const BODY = Buffer.from('<plist version="1.0"><dict><key>Status</key><string>Idle</string></dict></plist>');

let made: Seeds | undefined;

/** Made once a process: it takes half a second. */
export function seeds(): Seeds {
  made ??= make();
  return made;
}

function make(): Seeds {
  const now = Date.now();
  const caKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const ca = { key: caKey, certificate: makeCa(caKey, { commonName: 'Fuzz CA', days: 9, now }) };
  const issue = (key: KeyObject, usage: 'device' | 'registration'): Identity => {
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    return { key, certificate: issueCertificate(ca, { spki, commonName: 'fuzz', days: 5, usage, now }) };
  };
  const rsaKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const rsa = issue(rsaKey(), 'device');
  const ec = issue(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'device');
  const registration = issue(rsaKey(), 'registration');
  return { ca, rsa, ec, registration, openssl: (...args) => openssl({ rsa, ec, ra: registration }, args) };
}

function openssl(identities: Record<string, Identity>, args: readonly string[]): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'btz-fuzz-'));
  try {
    for (const [name, { key, certificate }] of Object.entries(identities)) {
      const pem = key.export({ format: 'pem', type: 'pkcs8' }) as string;
      writeFileSync(join(dir, `${name}.pem`), pem + toPem('CERTIFICATE', certificate.der), { mode: 0o600 });
    }
    writeFileSync(join(dir, 'body'), BODY);
    execFileSync('openssl', [args[0]!, '-out', 'out', ...args.slice(1)], {
      cwd: dir,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return readFileSync(join(dir, 'out'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A certificate that openssl made, with names and extensions that ours do not have. */
export function foreignCertificate(): Buffer {
  const args = ['req', '-x509', '-key', 'rsa.pem', '-subj', '/C=EE/O=Example/OU=Phones/CN=Zoë', '-utf8', '-days', '9'];
  return seeds().openssl(...args, '-addext', 'subjectAltName=DNS:phone.example,IP:127.0.0.1', '-outform', 'DER');
}

/** What Python's plistlib writes for a JSON value. */
export function pythonPlist(json: unknown): Buffer {
  const code =
    'import sys,json,plistlib,datetime\nd=json.load(sys.stdin)\nd["Data"]=b"\\x00\\x01"*40\nd["Date"]=datetime.datetime(2026,2,3,4,5,6)\nsys.stdout.buffer.write(plistlib.dumps(d))';
  return execFileSync('python3', ['-c', code], { input: JSON.stringify(json) });
}
