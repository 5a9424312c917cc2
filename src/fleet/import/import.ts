import { newDeviceHandle } from '#base';
import { emit } from '#log';
import { type Pen, type PublicKeys, sealWrite } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import type { Certificate } from '#wire';
import { type Incoming, type LeftOut, type NanoRow, readNanoRow } from './nanomdm.ts';
import { knowProfile, type OldProfile } from './old-profile.ts';

export interface ImportReport {
  readonly imported: number;
  /** Ids that were left out, by reason. */
  readonly leftOut: Readonly<Partial<Record<LeftOut, readonly string[]>>>;
  readonly findings: Readonly<Record<string, number>>;
  /** Push topics of the devices, with how many listen to each. */
  readonly topics: Readonly<Record<string, number>>;
  /** Devices whose certificates can be renewed from now on, because their profile is known. */
  readonly renewable: number;
}

export interface ImportOptions {
  readonly keys: PublicKeys;
  /** Edge's: what its devices tell is written in its name. */
  readonly pen: Pen;
  /** The authorities that issued the devices' certificates. */
  readonly issuers: readonly Certificate[];
  readonly by: string;
  readonly now: number;
  /** The enrolment profile that the old server gave its devices; with it their certificates can be renewed. */
  readonly profile?: OldProfile;
}

/**
 * Takes devices over from NanoMDM so that none enrols anew: their pinned certificates, push tokens and sealed secrets. Each
 * device is a transaction of its own, so that an import that broke off is simply run again: who is here already is left out.
 */
export async function importNano(pool: Pool, rows: Iterable<NanoRow>, options: ImportOptions): Promise<ImportReport> {
  await tx(pool, (t) => trustIssuers(t, options));
  const leftOut: Partial<Record<LeftOut, string[]>> = {};
  const findings: Record<string, number> = {};
  const topics: Record<string, number> = {};
  let imported = 0;
  let renewable = 0;
  for (const row of rows) {
    const read = readNanoRow(row, options.issuers, options.now);
    const outcome = typeof read === 'string' ? read : await tx(pool, (t) => take(t, read, options));
    if (typeof read !== 'string') renewable += await tx(pool, (t) => knowProfile(t, read, options));
    if (outcome !== 'taken') {
      leftOut[outcome] = [...(leftOut[outcome] ?? []), row.id];
      continue;
    }
    const { topic } = (read as Incoming).tokenUpdate;
    imported += 1;
    topics[topic] = (topics[topic] ?? 0) + 1;
    for (const finding of (read as Incoming).findings) findings[finding] = (findings[finding] ?? 0) + 1;
  }
  const counts = Object.fromEntries(Object.entries(leftOut).map(([why, ids]) => [why, ids.length]));
  await emit(pool, { kind: 'fleet.import_done', actor: options.by, detail: { imported, left_out: counts, renewable } });
  return { imported, leftOut, findings, topics, renewable };
}

/** From here on edge reads certificates of these authorities; one speaks only for the device that it is pinned to. */
async function trustIssuers(t: Tx, { issuers, by }: ImportOptions): Promise<void> {
  for (const issuer of issuers) {
    const { rowCount } = await t.query(
      `insert into fleet.trusted_issuer (sha256, der, added_by) values ($1, $2, $3) on conflict (sha256) do nothing`,
      [issuer.sha256, Buffer.from(issuer.der), by],
    );
    if (rowCount)
      await emit(t, { kind: 'fleet.issuer_trusted', actor: by, detail: { sha256: issuer.sha256.toString('hex') } });
  }
}

async function take(t: Tx, one: Incoming, options: ImportOptions): Promise<'taken' | 'known-already'> {
  const { authenticate: said, tokenUpdate: token } = one;
  const known = await t.query(
    `select from fleet.device where udid = $1 union all select from fleet.certificate where sha256 = $2`,
    [said.udid, one.pin],
  );
  if (known.rows.length > 0) return 'known-already';
  const handle = await place(t, one);
  for (const [field, value] of one.personal) {
    const { rows } = await t.query<{ version: number }>('select fleet.import_version($1, $2) as version', [
      handle,
      field,
    ]);
    const { version } = rows[0]!;
    const outer = sealWrite({ keys: options.keys, pen: options.pen, subject: handle, field, version, value });
    await t.query('select fleet.import_sealed($1, $2, $3, $4)', [handle, field, version, outer]);
  }
  await emit(t, {
    kind: 'device.imported',
    actor: options.by,
    device: handle,
    detail: {
      from: 'nanomdm',
      ownership: one.ownership,
      findings: [...new Set(one.findings)].slice(0, 16),
      sealed: one.personal.size,
    },
  });
  if (token.awaitingConfiguration)
    await t.query('update fleet.device set awaiting_configuration = true where handle = $1', [handle]);
  return 'taken';
}

async function place(t: Tx, one: Incoming): Promise<string> {
  const { authenticate: said, tokenUpdate: token } = one;
  for (;;) {
    const handle = newDeviceHandle();
    const { rowCount } = await t.query(
      `insert into fleet.device (handle, ownership, udid, serial, model, product_name, os_version, build_version, topic,
         push_token, push_magic, enrolled_at, token_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now(), now()) on conflict (handle) do nothing`,
      [
        ...[
          handle,
          one.ownership,
          said.udid,
          said.serial,
          said.model,
          said.productName,
          said.osVersion,
          said.buildVersion,
        ],
        ...[token.topic, Buffer.from(token.token), token.pushMagic],
      ],
    );
    if (!rowCount) continue;
    // The register of certificates follows the pin.
    await t.query(
      `update fleet.device set state = 'enrolled', certificate_sha256 = $2,
         certificate_not_after = to_timestamp($3::double precision / 1000) where handle = $1`,
      [handle, one.pin, one.notAfter ?? null],
    );
    return handle;
  }
}
