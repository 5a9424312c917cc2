import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import {
  certificatesOf,
  FleetError,
  type ImportReport,
  importNano,
  type NanoRow,
  type OldProfile,
  readOldProfile,
} from '#fleet';
import { type PublicKeys, readPen } from '#seal';
import { RunError } from './config.ts';
import type { Home } from './home.ts';
import { readArchive } from './import-archive.ts';
import { withDatabase } from './push.ts';

/** What a row of the export holds, as NanoMDM's schema has it in PostgreSQL; MySQL's is the same in JSON. */
const QUERY = `select d.id, coalesce(e.type, 'Device') as type, coalesce(e.enabled, false) as enabled, d.identity_cert,
    (select c.sha256 from cert_auth_associations c where c.id = d.id order by c.created_at desc limit 1) as sha256,
    d.authenticate, d.token_update, encode(d.unlock_token, 'base64') as unlock_token, d.bootstrap_token_b64
  from devices d left join enrollments e on e.id = d.id order by d.id`;

/** Rows from NanoMDM's own PostgreSQL, from files with one JSON object a line (or one array), or from an archive's folder. Throws RunError. */
export async function readNano(source: string): Promise<NanoRow[]> {
  if (/^postgres(ql)?:\/\//.test(source)) {
    const client = new pg.Client({ connectionString: source });
    try {
      await client.connect();
      return (await client.query<NanoRow>(QUERY)).rows.map(tidy);
    } catch (cause) {
      throw new RunError('usage', 'NanoMDM’s database cannot be read at this address.', { cause });
    } finally {
      await client.end().catch(() => {});
    }
  }
  if (statSync(source, { throwIfNoEntry: false })?.isDirectory() === true) return readArchive(source);
  try {
    const text = readFileSync(source, 'utf8').trim();
    const rows = text.startsWith('[')
      ? (JSON.parse(text) as NanoRow[])
      : text.split('\n').map((line) => JSON.parse(line) as NanoRow);
    return rows.map(tidy);
  } catch (cause) {
    throw new RunError(
      'usage',
      'The export cannot be read: it has one JSON object a line, as docs/enrolment.md shows.',
      {
        cause,
      },
    );
  }
}

/** Databases write base64 in lines, and MySQL's booleans are numbers. */
const tidy = (row: NanoRow): NanoRow => ({
  ...row,
  enabled: Boolean(row.enabled),
  unlock_token: row.unlock_token?.replace(/\s+/g, '') ?? null,
});

function readProfileFile(file: string): OldProfile {
  try {
    return readOldProfile(readFileSync(file));
  } catch (cause) {
    const why = cause instanceof FleetError ? cause.message : 'The file of the enrolment profile cannot be read.';
    throw new RunError('usage', why, { cause });
  }
}

/** Takes a fleet over into a running installation. */
export async function importFleet(
  home: Home,
  sources: readonly string[],
  ca: string,
  profile?: string,
): Promise<ImportReport & { ours: string }> {
  let pem: string;
  try {
    pem = readFileSync(ca, 'utf8');
  } catch (cause) {
    throw new RunError('usage', 'The file of the issuing authority cannot be read.', { cause });
  }
  const issuers = certificatesOf(pem);
  if (issuers.length === 0 || issuers.some((one) => !one.isCa))
    throw new RunError('usage', 'Give with --ca the authority that issued the devices’ certificates, as PEM.');
  const old = profile === undefined ? undefined : readProfileFile(profile);
  const rows = (await Promise.all(sources.map(readNano))).flat();
  const keys = JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as PublicKeys;
  return withDatabase(home, async (pool, config) => ({
    ...(await importNano(pool, rows, {
      ...{ keys, pen: readPen(home.state('edge'), 'edge', keys), issuers, by: 'operator', now: Date.now() },
      ...(old === undefined ? {} : { profile: old }),
    })),
    ours: config.topic,
  }));
}

/** The report as an operator reads it. */
export function importLines({
  imported,
  leftOut,
  findings,
  topics,
  renewable,
  ours,
}: ImportReport & { ours: string }): string[] {
  const foreign = Object.entries(topics).filter(([topic]) => topic !== ours);
  return [
    `${imported} devices were taken over.`,
    renewable > 0
      ? `${renewable} devices can be renewed here: their enrolment profile is known.`
      : 'No certificate becomes renewable: give the enrolment profile that the devices have with --profile, now or later.',
    ...Object.entries(leftOut).map(
      ([why, ids]) =>
        `left out, ${why}: ${ids!.length} (${ids!.slice(0, 5).join(', ')}${ids!.length > 5 ? ', …' : ''})`,
    ),
    ...Object.entries(findings).map(([what, n]) => `finding ${what}: ${n}`),
    ...foreign.map(
      ([topic, n]) => `${n} devices listen to the push topic ${topic}; ours is ${ours}: install its push certificate.`,
    ),
    'Now let the old host name lead here (same ServerURL), or the phones will not find us.',
  ];
}
