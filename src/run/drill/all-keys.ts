import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBase64url } from '#base';
import { type Field, openInner, unlockRow, unpadValue } from '#seal';
import type { Product } from '../supervisor.ts';

/** A ciphertext row as a dump of the database has it. */
export interface StolenRow {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly row: Buffer;
}

/** Everything that both guards hold now: the organisation's key, and every lock that there is. */
export interface AllKeys {
  readonly org: string;
  readonly organisation: KeyObject;
  readonly locks: readonly Buffer[];
}

/** Reads the keys of both guards from their folders, as whoever owns the whole machine would. */
export function takeAllKeys(product: Pick<Product, 'home'> & { readonly keys: { readonly org: string } }): AllKeys {
  const sealer = product.home.state('sealer');
  const file = readdirSync(sealer).find((name) => /^organisation.*\.key$/.test(name));
  if (file === undefined) throw new Error('the organisation’s key is not in a file here');
  const organisation = createPrivateKey({ key: readFileSync(join(sealer, file)), format: 'der', type: 'pkcs8' });
  const folder = join(product.home.state('ledger'), 'locks');
  const locks = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .flatMap((one) => {
      const { lock, next } = JSON.parse(readFileSync(join(one.parentPath, one.name), 'utf8')) as Record<string, string>;
      return [lock, next].flatMap((text) => (text === undefined ? [] : [Buffer.from(fromBase64url(text))]));
    });
  return { org: product.keys.org, organisation, locks };
}

/** How many of the rows any of the keys opens. What they hold is looked at nowhere. */
export function opensWith({ org, organisation, locks }: AllKeys, rows: readonly StolenRow[]): number {
  return rows.filter(({ row, ...label }) =>
    locks.some((lock) => {
      try {
        const inner = unlockRow(lock, row, { org, ...label });
        return unpadValue(openInner(organisation, inner, { org, ...label }), label.field) !== '';
      } catch {
        return false;
      }
    }),
  ).length;
}

/** Rows of these subjects in a plain SQL dump (`pg_dump`), whichever of its tables they stand in. */
export function rowsOfDump(dump: string, subjects: ReadonlySet<string>): StolenRow[] {
  if (!existsSync(dump)) throw new Error('there is no such dump');
  const rows: StolenRow[] = [];
  let sealed = false;
  for (const line of readFileSync(dump, 'utf8').split('\n')) {
    if (line.startsWith('COPY ')) sealed = line.startsWith('COPY people.sealed ');
    const [subject, field, version, row] = sealed ? line.split('\t') : [];
    if (subject === undefined || row === undefined || !row.startsWith('\\\\x') || !subjects.has(subject)) continue;
    rows.push({ subject, field: field as Field, version: Number(version), row: Buffer.from(row.slice(3), 'hex') });
  }
  return rows;
}
