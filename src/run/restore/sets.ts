import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { BackupError, type Manifest, openTarget, SETS, type SetName, type TargetSettings, unpackSet } from '#backup';
import { type RecoveryKey, recoveryIdentity } from '#seal';
import { fingerprintOf } from '../backup/settings.ts';

/** Where the three sets are. */
export type Places = { readonly [set in SetName]: TargetSettings };

/** One file of each set. */
export type Chosen = { readonly [set in SetName]: { readonly name: string; readonly at: number } };

const NAME = /^([a-z]+)-(.+)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{8}\.age$/;

function read(name: string) {
  const [, set, org, ...parts] = NAME.exec(name) ?? [];
  if (set === undefined) return undefined;
  const [year, month, day, hour, minute, second] = parts.map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { name, set, org: org!, at: Date.UTC(year, month - 1, day, hour, minute, second) };
}

/**
 * The newest set of the ledger, the newest of the sealer, and the newest of the database that is not younger than the
 * ledger's: rows need their locks, and the log must know all that the database says of it. Throws BackupError `target`.
 */
export async function chooseSets(places: Places): Promise<Chosen> {
  const found = new Map<SetName, { name: string; org: string; at: number }[]>();
  for (const set of SETS) {
    const all = (await openTarget(places[set]).list()).flatMap(({ name }) => read(name) ?? []);
    const own = all.filter((one) => one.set === set).sort((a, b) => b.at - a.at);
    if (own.length === 0) throw new BackupError('target', `There is no ${set} backup in the place that you named.`);
    found.set(set, own);
  }
  const ledger = found.get('ledger')![0]!;
  const database = found.get('database')!.find(({ at }) => at <= ledger.at);
  if (database === undefined) {
    throw new BackupError(
      'target',
      'Every database backup is younger than the ledger’s. Get a newer one of the ledger.',
    );
  }
  return { database, ledger, sealer: found.get('sealer')![0]! };
}

/** What a set may hold: the first part of every name in it. */
const HOLDS: { readonly [set in SetName]: (first: string) => boolean } = {
  ledger: (first) => first === 'ledger',
  sealer: (first) => first === 'sealer',
  database: (first) => first !== 'ledger' && first !== 'sealer' && first !== 'config' && first !== 'pg',
};

/**
 * Opens the sets into a folder and checks them: whole, unchanged, of one organisation, for this recovery key, and signed by
 * the keys on the sheet. What lies in the folder counts only once this has returned. Throws BackupError.
 */
export async function unpackSets(options: {
  readonly places: Places;
  readonly chosen: Chosen;
  readonly seed: Uint8Array;
  readonly key: RecoveryKey;
  /** As it is written on the sheet. */
  readonly fingerprint: string;
  readonly into: string;
}): Promise<{ readonly [set in SetName]: Manifest }> {
  const { places, chosen, seed, key, into } = options;
  const manifests = {} as { [set in SetName]: Manifest };
  for (const set of SETS) {
    const identity = recoveryIdentity(seed, set);
    try {
      const source = openTarget(places[set]).get(chosen[set].name);
      manifests[set] = await unpackSet(source, identity, writer(set, into));
    } catch (error) {
      if (error instanceof BackupError) throw new BackupError(error.code, `${set}: ${error.message}`, { cause: error });
      throw error;
    } finally {
      identity.fill(0);
    }
    const { set: said, recovery, at } = manifests[set];
    if (said !== set) throw new BackupError('tampered', `This is no ${set} backup but one of the ${said}.`);
    // An old set under a new name would pass for fresh.
    if (Math.floor(at / 1000) * 1000 !== chosen[set].at) {
      throw new BackupError(
        'tampered',
        `The ${set} backup was made at another time than its name says. Do not use it.`,
      );
    }
    if (recovery !== key.id) throw new BackupError('tampered', `The ${set} backup names another recovery key.`);
  }
  const orgs = new Set(SETS.map((set) => manifests[set].org));
  if (orgs.size > 1)
    throw new BackupError('tampered', `These backups are of different organisations: ${[...orgs].join(', ')}.`);
  const signers = Object.fromEntries(SETS.map((set) => [set, manifests[set].signer]));
  const made = fingerprintOf(manifests.database.org, key.id, signers)!;
  const plain = (text: string) => text.toLowerCase().replace(/[^0-9a-f]/g, '');
  if (plain(made) !== plain(options.fingerprint)) {
    throw new BackupError(
      'tampered',
      'The fingerprint of these backups is not the one on your sheet: they were made by somebody else, or for another installation. Do not use them.',
    );
  }
  return manifests;
}

function writer(set: SetName, into: string) {
  let file: WriteStream | undefined;
  return {
    begin: async (name: string) => {
      if (!HOLDS[set](name.split('/')[0]!) || !name.includes('/')) {
        throw new BackupError('tampered', `The ${set} backup holds a file that is not its own. Do not use it.`);
      }
      const path = join(into, name);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
    },
    write: (bytes: Buffer) =>
      new Promise<void>((resolve, reject) => {
        file!.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    end: async () => {
      file!.end();
      await finished(file!);
    },
  };
}
