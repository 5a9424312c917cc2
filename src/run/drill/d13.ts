import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError, combineShares, openTarget, SETS, type Share, splitRecovery, unpackSet } from '#backup';
import { recoveryIdentity, recoveryKeyOf } from '#seal';
import { withBackupDoors } from '../backup/doors.ts';
import { runBackups } from '../backup/run.ts';
import { changeSettings, fingerprintOf, readSigners } from '../backup/settings.ts';
import { uidOf } from '../home.ts';
import { rehearse } from '../restore/rehearse.ts';
import { sealedPeople } from '../story.ts';
import { observe } from './observer.ts';
import { type DrillReport, type DrillResult, resultOf, Steps } from './report.ts';
import { onScene, type Scene, type SceneOptions } from './scene.ts';

/**
 * D13, backup theft and restore: a thief takes the newest of all three backups and two cards. Nothing of what he has tells a name
 * or number, the database's set opened with its own key included. With three cards the sets are restored on a clean copy, where
 * a decoy opens; how long that took is the evidence. That a copy was taken is seen where the backups lie, not here.
 */
export async function d13(options: SceneOptions, tell: (line: string) => void): Promise<DrillResult> {
  const seed = randomBytes(32);
  const shares = await splitRecovery(seed);
  const recovery = recoveryKeyOf(seed);
  return onScene({ ...options, recovery }, tell, async (scene) =>
    resultOf('D13', await drillD13(scene, { seed, shares, recovery: recovery.id })),
  );
}

interface Cards {
  readonly seed: Buffer;
  readonly shares: readonly Share[];
  /** The recovery key's id. */
  readonly recovery: string;
}

async function drillD13({ product, stage, scratch, tell }: Scene, cards: Cards): Promise<DrillReport> {
  const steps = new Steps(tell);
  await sealedPeople(stage);
  chmodSync(scratch, 0o711);
  const place = (set: string) => join(scratch, `at-${set}`);
  for (const set of SETS) {
    mkdirSync(place(set), { mode: 0o700 });
    const uid = set === 'database' ? undefined : uidOf(set);
    if (uid !== undefined) chownSync(place(set), uid, uid);
    changeSettings(product.home, set, { target: { kind: 'directory', path: place(set) } });
  }
  const made = await withBackupDoors(product.home, (doors) => runBackups(doors));
  steps.add('sets that were written and read back', SETS.length, made.filter(({ ok }) => ok).length);

  const loot = join(scratch, 'loot');
  for (const set of SETS) cpSync(place(set), join(loot, set), { recursive: true });
  const stolen = await observe({ planted: stage.planted, places: [loot] });
  steps.add('planted values in the three sets', 0, stolen.finds.length);
  const two = cards.shares.slice(0, 2).map(({ text }) => text);
  steps.add('two cards', 'shares', await codeOf(combineShares(two)));
  for (const set of SETS) {
    const open = unpack(place(set), randomBytes(32), join(loot, 'none'));
    steps.add(`the ${set} set with a key of the thief’s own`, 'tampered', await codeOf(open));
  }
  // The worst single loss: the key of one set and the set.
  const opened = join(loot, 'opened');
  await unpack(place('database'), recoveryIdentity(cards.seed, 'database'), opened);
  const inDatabase = await observe({ planted: stage.planted, places: [opened] });
  steps.add('planted values in the database’s set once it is opened', 0, inDatabase.finds.length);

  const at = (set: string) => ({ kind: 'directory', path: place(set) }) as const;
  const order = {
    places: { database: at('database'), ledger: at('ledger'), sealer: at('sealer') },
    shares: cards.shares.slice(2).map(({ text }) => text),
  };
  const fingerprint = fingerprintOf(product.keys.org, cards.recovery, readSigners(product.home))!;
  steps.add(
    'sets that are not those of the sheet',
    'tampered',
    await codeOf(rehearse({ ...order, fingerprint: '0' }, tell)),
  );
  const report = await rehearse({ ...order, fingerprint }, tell);
  steps.add('a decoy opens on the clean copy', true, true);
  return {
    ...{ ok: steps.ok, steps: steps.all },
    evidence: { restored_s: report.seconds, leaves: report.leaves, sets: report.sets },
  };
}

/** Opens the newest set of a place into a folder. Throws BackupError. */
async function unpack(place: string, identity: Uint8Array, into: string): Promise<void> {
  const name = readdirSync(place)
    .filter((one) => one.endsWith('.age'))
    .sort()
    .at(-1)!;
  mkdirSync(into, { recursive: true });
  let n = 0;
  let parts: Buffer[] = [];
  await unpackSet(openTarget({ kind: 'directory', path: place }).get(name), identity, {
    begin: async () => {
      parts = [];
    },
    write: async (bytes) => {
      parts.push(Buffer.from(bytes));
    },
    end: async () => {
      await writeFile(join(into, String(n++)), Buffer.concat(parts));
    },
  });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'opened';
  } catch (error) {
    if (error instanceof BackupError) return error.code;
    throw error;
  }
}
