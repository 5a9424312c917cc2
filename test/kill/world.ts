import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLine } from '#sim';
import { openPool, type Pool } from '#store';
import { fromPem, parseCertificate } from '#wire';
import { makeDevices } from '../../bench/devices.ts';
import { seedOurs } from '../../bench/product.ts';
import type { Person } from '../../src/run/person.ts';
import { type Living, live } from '../flows/product.ts';
import type { Dice } from '../fuzz/dice.ts';
import { LeanFleet, LeanPhone, type Manners } from './lean-phone.ts';
import { type Witness, watch } from './witness.ts';

/** The product with a few whole phones and many lean ones, and what each of them saw. */
export interface World extends Living {
  /** As the database's owner: an outside observer. */
  readonly pool: Pool;
  readonly lean: LeanFleet;
  /** By handle: whole phones first. */
  readonly witnesses: ReadonlyMap<string, Witness>;
  readonly whole: readonly string[];
  readonly people: readonly Person[];
  /** When PostgreSQL, or a backend of it, was killed: milliseconds. */
  readonly databaseDied: number[];
  close(): Promise<void>;
}

const MANNERS: Manners = { notNow: 15, error: 25, slow: 60 };
/** Nobody is held for changing much: what is tested is what a crash leaves behind. */
const CAPS = { changePerHour: 100_000_000 };

export async function openWorld(size: { whole: number; lean: number }, dice: Dice): Promise<World> {
  const home = await live({
    ...{ people: 12, phones: size.whole, admins: 3, founders: 3, pollMs: 700, caps: CAPS, edgeWorkers: 2 },
  });
  const { product, stage } = home;
  const pool = openPool(product.admin, { max: 4 });
  const line = openLine({ sockets: 24, timeoutMs: 15_000 });
  try {
    const state = product.home.state('core');
    const ca = {
      certificate: parseCertificate(fromPem(readFileSync(join(state, 'ca.pem'), 'utf8'))),
      key: createPrivateKey(readFileSync(join(state, 'ca.key'))),
    };
    if (stage.fleet.phones.some((phone) => !phone.enrolled)) throw new Error('not every phone could enrol');
    const devices = makeDevices(ca, 0, size.lean, 'ec');
    await seedOurs(pool, devices, [], 0);
    // As if each had opened a link of ours; without one it would count as taken over from another server.
    await pool.query(
      `insert into fleet.enrolment (id, device_id, link_sha256, created_by, expires_at, fetched_at, used_at)
       select gen_random_uuid(), id, sha256(convert_to(udid, 'UTF8')), 'bench-admin', now(), now(), now() from fleet.device
       where topic = 'bench'`,
    );
    const phones = devices.map((device) => new LeanPhone(device, `${product.urls.edge}/mdm`, line.send));
    const lean = new LeanFleet(phones, MANNERS);
    const handles = await pool.query<{ udid: string; handle: string }>('select udid, handle from fleet.device');
    const handleOf = new Map(handles.rows.map(({ udid, handle }) => [udid, handle]));
    const whole = stage.fleet.phones.map((phone) => [handleOf.get(phone.state.udid)!, watch(phone)] as const);
    stage.fleet.start();
    lean.start(16, dice);
    return {
      ...{ ...home, pool, lean, people: stage.admins, databaseDied: [], whole: whole.map(([handle]) => handle) },
      witnesses: new Map([...whole, ...phones.map((one) => [one.device.handle, one.witness] as const)]),
      close: async () => {
        await lean.stop();
        line.close();
        await pool.end();
        await home.close();
      },
    };
  } catch (error) {
    line.close();
    await pool.end();
    await home.close();
    throw error;
  }
}
