import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { toBase64url, uuidv7 } from '#base';
import { type Assertion, type Grant, GuardError, guardClient, type SealedRow, x25519Raw } from '#seal';
import { newPasskey } from '#sim';
import { openPool } from '#store';
import { allOf, Person } from '../person.ts';
import { sealedPeople } from '../story.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';
import { afterwards } from './verdict.ts';

interface Opened {
  readonly receipt: { readonly opened: readonly string[] };
}

/**
 * D09, the app server itself asks to unseal everything: whoever owns glass has its sockets to both guards, its database login and
 * one grant that an admin really touched. Every subject beyond that one touch must stay closed, whatever he sends.
 */
export async function drillD09({ product, stage, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  await sealedPeople(stage);
  const admin = stage.admins[0]!;
  const people = (await allOf<{ handle: string }>(admin, '/api/people')).map(({ handle }) => handle);
  const { database } = JSON.parse(readFileSync(product.home.config('glass'), 'utf8')) as {
    database: Parameters<typeof openPool>[0];
  };
  const pool = openPool(database, { max: 1 });
  const sealer = guardClient(product.home.socket('sealer', 'glass'), { name: 'sealer' });
  const ledger = () => guardClient(product.home.socket('ledger', 'glass'), { name: 'ledger' });
  const since = Date.now();
  let opened = 0;
  const ask = async (grant: Grant, assertion: Assertion, rows: readonly SealedRow[]): Promise<string> => {
    try {
      const answer = await sealer.call<Opened>('reveal', { grant, assertion, rows }, { timeoutMs: 20_000 });
      opened += answer.receipt.opened.length;
      return 'opened';
    } catch (error) {
      return error instanceof GuardError ? error.code : 'failed';
    }
  };
  try {
    const rowsOf = async (subjects: readonly string[]): Promise<SealedRow[]> =>
      (
        await pool.query<{ subject: string; version: string; row: Buffer }>(
          `select * from people.read_rows('number', $1)`,
          [subjects],
        )
      ).rows.map(({ subject, version, row }) => ({
        subject,
        field: 'number',
        version: Number(version),
        row: toBase64url(row),
      }));
    const browser = toBase64url(x25519Raw(generateKeyPairSync('x25519').privateKey));
    const grantFor = (subjects: readonly string[], more: Partial<Grant> = {}): Grant => ({
      ...{ v: 1, op: 'reveal', id: uuidv7(), admin: admin.admin, field: 'number', subjects: [...subjects].sort() },
      ...{ purpose: 'a usual call', notAfter: Date.now() + 300_000, browserKey: browser, ...more },
    });
    // The one touch that he has.
    let touched = grantFor(people.slice(0, 1));
    let touch = admin.touch(touched);
    for (let i = 1; (await ask(touched, touch, await rowsOf(touched.subjects))) !== 'opened' && i < 4; i += 1) {
      // It was a decoy: the admin's touch is refused, as it should be. Another admin's serves.
      const other = stage.admins[i % stage.admins.length]!;
      touched = grantFor([people[i]!], { admin: other.admin });
      touch = other.touch(touched);
    }
    steps.add('records of the one touch', 1, opened);
    opened = 0;
    const rest = people.slice(5, 10);
    const thief = new Person(product.urls, admin.admin, newPasskey());
    const mine = grantFor(rest);
    const tries: readonly (readonly [string, Grant, Assertion, readonly SealedRow[]])[] = [
      ['a key of his own', mine, thief.touch(mine), await rowsOf(rest)],
      ['the touch under another grant', mine, touch, await rowsOf(rest)],
      [
        'more subjects under the touch',
        { ...touched, subjects: [...touched.subjects, ...rest].sort() },
        touch,
        await rowsOf([...touched.subjects, ...rest]),
      ],
      ['another field under the touch', { ...touched, field: 'email' }, touch, await rowsOf(touched.subjects)],
      [
        'another browser key under the touch',
        { ...touched, browserKey: toBase64url(x25519Raw(generateKeyPairSync('x25519').privateKey)) },
        touch,
        await rowsOf(touched.subjects),
      ],
      [
        'a longer life under the touch',
        { ...touched, notAfter: touched.notAfter + 1 },
        touch,
        await rowsOf(touched.subjects),
      ],
      ['other people’s rows under the touch', touched, touch, await rowsOf(rest)],
    ];
    for (const [name, grant, assertion, rows] of tries) {
      await ask(grant, assertion, rows);
      steps.add(`records by ${name}`, 0, opened);
      opened = 0;
    }
    const rows = await rowsOf(touched.subjects);
    await Promise.all(Array.from({ length: 400 }, () => ask(touched, touch, rows)));
    steps.add('records by 400 parallel replays', 0, opened);
    const dropped = await Promise.all(
      (['open', 'settle', 'authorise', 'lock', 'append', 'decoys', 'spent', 'nothing'] as const).map(async (type) => {
        const client = ledger();
        try {
          await client.call(type, { grant: touched, assertion: touch, rows });
          return 'answered';
        } catch (error) {
          return error instanceof GuardError ? error.code : 'failed';
        } finally {
          client.close();
        }
      }),
    );
    steps.add(
      'messages of other callers that the ledger answered',
      0,
      dropped.filter((one) => one === 'answered').length,
    );
  } finally {
    sealer.close();
    await pool.end();
  }
  const after = await afterwards(product, since, ['refused-reveals'], false);
  steps.atMost('milliseconds until somebody was told of it', 10_000, after.alertMs);
  return {
    ...{ ok: steps.ok, steps: steps.all, detectedMs: after.alertMs, containedMs: null },
    evidence: {
      contained:
        'each request was refused; the directory stays open to those who touch, so that forged requests cannot close it',
    },
  };
}
