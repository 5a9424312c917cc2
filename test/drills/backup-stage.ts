import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { inventPeople, peopleCsv } from '#sim';
import { type Share, splitRecovery } from '../../src/backup/shares.ts';
import { withBackupDoors } from '../../src/run/backup/doors.ts';
import { runBackups, type SetResult } from '../../src/run/backup/run.ts';
import { changeSettings } from '../../src/run/backup/settings.ts';
import { uidOf } from '../../src/run/home.ts';
import { buildPages } from '../../src/run/pages.ts';
import { Person } from '../../src/run/person.ts';
import { importPeople } from '../../src/run/stage.ts';
import { type Product, startProduct } from '../../src/run/supervisor.ts';
import { recoveryKeyOf } from '../../src/seal/index.ts';
import { freePorts, openDir } from '../flows/product.ts';

export interface BackedUp {
  readonly product: Product;
  readonly admins: readonly Person[];
  readonly people: ReturnType<typeof inventPeople>;
  readonly handles: readonly string[];
  readonly seed: Buffer;
  readonly shares: readonly Share[];
  /** Folder that holds one place per set. */
  readonly root: string;
  place(set: string): string;
  run(): Promise<SetResult[]>;
  close(): Promise<void>;
}

/** A product with people, a pinned recovery key and three places for its backups; two founders have joined. */
export async function backedUp(people = 20): Promise<BackedUp> {
  await buildPages();
  const root = openDir('btz-backup-');
  const seed = randomBytes(32);
  const shares = await splitRecovery(seed);
  const home = join(root, 'home');
  const product = await startProduct({
    home,
    portBase: await freePorts(),
    founders: 3,
    demo: true,
    recovery: recoveryKeyOf(seed),
  });
  const close = async () => {
    await product.stop();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    const place = (set: string) => join(root, `at-${set}`);
    for (const set of ['database', 'ledger', 'sealer'] as const) {
      mkdirSync(place(set));
      const uid = set === 'database' ? undefined : uidOf(set);
      if (uid !== undefined) chownSync(place(set), uid, uid);
      changeSettings(product.home, set, { target: { kind: 'directory', path: place(set) } });
    }
    const admins: Person[] = [];
    for (const founder of product.founders.slice(0, 2)) {
      const person = new Person(product.urls, founder.admin);
      await person.join(founder.token);
      await person.signIn();
      admins.push(person);
    }
    const invented = inventPeople(people);
    const handles = await importPeople(product, peopleCsv(invented));
    const run = () => withBackupDoors(product.home, (doors) => runBackups(doors));
    return { product, admins, people: invented, handles, seed, shares, root, place, run, close };
  } catch (error) {
    await close();
    throw error;
  }
}
