import { generateKeyPairSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Sealed, toBase64url, uuidv7 } from '#base';
import { type Field, type Grant, guardClient, type SealedRow, sealField, type Unlock, x25519Raw } from '#seal';
import { inventPeople, peopleCsv } from '#sim';
import { openPool } from '#store';
import { buildPages } from '../src/run/pages.ts';
import { allOf, Person } from '../src/run/person.ts';
import { importPeople, until } from '../src/run/stage.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { decoysOf } from '../test/flows/decoys.ts';
import { freePorts, openDir } from '../test/flows/product.ts';
import { round } from './load.ts';
import { machine, median, residentMib } from './measure.ts';
import { searchFigures } from './search.ts';

interface Timed {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

const timed = (times: readonly number[]): Timed => {
  const sorted = [...times].sort((a, b) => a - b);
  return {
    p50_ms: round(median(sorted)),
    p99_ms: round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))]!),
  };
};

/**
 * What opening sealed values costs, on the whole product with its evidence log on disk: reveals of 1 and of 25 people, at the
 * guards' socket and through glass with its database; sealing; lock and unlock until both guards have said so; opening the search
 * of names over `--hydrate` people.
 */
export async function reveal(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json'),
    options: {
      people: { type: 'string', default: '400' },
      reveals: { type: 'string', default: '400' },
      hydrate: { type: 'string', default: '100000' },
    },
  });
  const [people, reveals] = [Number(values.people), Number(values.reveals)];
  await buildPages();
  const home = openDir('btz-bench-');
  const product = await startProduct({
    ...{ home, portBase: await freePorts(), founders: 3, demo: true, edgeWorkers: 1 },
    caps: { perTouch: 25, perDay: 1_000_000, namesPerDay: 1_000_000, orgPerDay: 10_000_000 },
  });
  const pool = openPool(product.admin, { max: 2 });
  const client = (guard: 'sealer' | 'ledger', caller: 'glass' | 'core') =>
    guardClient(product.home.socket(guard, caller), { name: guard, timeoutMs: 30_000 });
  const sealer = client('sealer', 'glass');
  try {
    const admins: Person[] = [];
    for (const { admin, token } of product.founders.slice(0, 2)) {
      const person = new Person(product.urls, admin);
      await person.join(token);
      await person.signIn();
      admins.push(person);
    }
    const [admin, second] = admins as [Person, Person];
    say(`${people} invented people are sealed`);
    await importPeople(product, peopleCsv(inventPeople(people)));
    const sealed = async () =>
      Number((await pool.query(`select from people.sealed where field = 'number' and row is not null`)).rowCount);
    await until(async () => (await sealed()) >= people, 120_000, 250);
    const decoys = decoysOf(product.home.dir);
    const handles = (await allOf<{ handle: string }>(admin, '/api/people'))
      .map(({ handle }) => handle)
      .filter((handle) => !decoys.has(handle));
    const rowsOf = async (field: Field, subjects: readonly string[]): Promise<SealedRow[]> =>
      (
        await pool.query<{ subject: string; version: string; row: Buffer }>(
          `select subject, version, "row" from people.sealed where field = $1 and subject = any($2) order by subject`,
          [field, subjects],
        )
      ).rows.map(({ subject, version, row }) => ({ subject, field, version: Number(version), row: toBase64url(row) }));
    const pick = (n: number, size: number) =>
      Array.from({ length: size }, (_, i) => handles[(n * size + i) % handles.length]!).sort();

    const atGuards = async (size: number): Promise<Timed> => {
      const times: number[] = [];
      for (let n = 0; n < reveals; n += 1) {
        const subjects = pick(n, size);
        const rows = await rowsOf('number', subjects);
        const grant = grantFor(admin, subjects);
        const assertion = admin.touch(grant);
        const at = performance.now();
        await sealer.call('reveal', { grant, assertion, rows });
        times.push(performance.now() - at);
      }
      return timed(times);
    };
    const throughGlass = async (size: number): Promise<Timed> => {
      const times: number[] = [];
      for (let n = 0; n < reveals / 4; n += 1) {
        const at = performance.now();
        const { answer } = await admin.reveal('number', pick(n, size), 'a benchmark');
        if (answer.status !== 200) throw new Error(`glass answered ${answer.status}`);
        times.push(performance.now() - at);
      }
      return timed(times);
    };
    // The watch would cut off a reader as fast as this one, and rightly.
    await product.process('core').stop();
    say('reveals at the guards, then through glass');
    const [one, twentyfive] = [await atGuards(1), await atGuards(25)];
    const glass = { one: await throughGlass(1), twentyfive: await throughGlass(25) };

    say('sealing, locks');
    const value = new Sealed('+44 7700 900123');
    const startedAt = performance.now();
    let seals = 0;
    for (; performance.now() - startedAt < 2_000; seals += 1)
      sealField({ keys: product.keys, subject: handles[0]!, field: 'number', version: 1, value });
    const sealPerS = Math.round((seals * 1000) / (performance.now() - startedAt));

    const both = async (caller: 'glass' | 'core', type: string, body: object) => {
      const guards = [client('sealer', caller), client('ledger', caller)];
      try {
        const at = performance.now();
        // An unlock goes to the sealer first, as glass does it.
        if (type === 'unlock') for (const guard of guards) await guard.call(type, body);
        else await Promise.all(guards.map((guard) => guard.call(type, body)));
        return performance.now() - at;
      } finally {
        for (const guard of guards) guard.close();
      }
    };
    const locks: number[] = [];
    const unlocks: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      locks.push(await both('core', 'lock', { scope: 'directory', target: '', reason: 'a benchmark' }));
      const document: Unlock = {
        ...{ v: 1, op: 'unlock', id: uuidv7(), scope: 'directory', target: '', requester: admin.admin },
        ...{ purpose: 'a benchmark', notAfter: Date.now() + 600_000 },
      };
      const assertions = [admin.touch(document), second.touch(document)];
      unlocks.push(await both('glass', 'unlock', { document, assertions }));
    }
    const guards = { sealer: product.pids()['sealer']!, ledger: product.pids()['ledger']! };
    const memory = { sealer: residentMib([guards.sealer]), ledger: residentMib([guards.ledger]) };
    await product.stop();
    const hydrate = await searchFigures(Number(values.hydrate), say);
    return {
      ...{ one, twentyfive, seal_per_s: sealPerS },
      hydrate_100k_s: hydrate.people === 100_000 ? hydrate.hydrate_s : null,
      lock_ms: round(median(locks)),
      unlock_ms: round(median(unlocks)),
      through_glass: glass,
      memory_mb: memory,
      hydrate,
      ...{ options: values, machine: machine(), command: `npm run bench -- reveal ${args.join(' ')}`.trim() },
    };
  } finally {
    sealer.close();
    await pool.end();
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

function grantFor(admin: Person, subjects: readonly string[]): Grant {
  return {
    ...{ v: 1, op: 'reveal', id: uuidv7(), admin: admin.admin, field: 'number', subjects },
    ...{ purpose: 'a benchmark', notAfter: Date.now() + 300_000 },
    browserKey: toBase64url(x25519Raw(generateKeyPairSync('x25519').privateKey)),
  };
}
