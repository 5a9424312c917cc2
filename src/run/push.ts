import { chownSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PushCertificate, type PushEndpoint, pushCertificateState, pushCounts, readPushCertificate } from '#fleet';
import { openPool, type Pool } from '#store';
import { type ProcessConfig, RunError } from './config.ts';
import { type Home, uidOf } from './home.ts';

export const APNS: PushEndpoint = { url: 'https://api.push.apple.com' };
/** The push certificate with its key, in core's private directory. */
export const PUSH_FILE = 'push.pem';

const LOOKED_WITHIN_MS = 15_000;

export interface Installed {
  readonly topic: string;
  readonly notAfter: Date;
  /** `accepted`, why APNs does not take it, or undefined where core has not tried it yet. */
  readonly canary: string | undefined;
  /** The installation's topic was changed: everything must be started anew before it is used. */
  readonly restart: boolean;
}

/** What core was told at its last start; only root or core's own user may read it. */
function coreConfig(home: Home): ProcessConfig & { readonly database: NonNullable<ProcessConfig['database']> } {
  try {
    const config = JSON.parse(readFileSync(home.config('core'), 'utf8')) as ProcessConfig;
    if (config.database !== undefined) return { ...config, database: config.database };
  } catch (cause) {
    throw new RunError(
      'usage',
      'This is no installation, or you may not read it. Give its --home, as the user who starts Bartizan.',
      { cause },
    );
  }
  throw new RunError('not-founded', 'This installation was never started. Start it first.');
}

/** Works on a running installation's database with core's rights, from the command line. */
export async function withDatabase<T>(home: Home, work: (pool: Pool, config: ProcessConfig) => Promise<T>): Promise<T> {
  const config = coreConfig(home);
  const pool = openPool(config.database, { max: 1, name: 'bartizan push' });
  try {
    await pool.query('select 1').catch((cause: unknown) => {
      throw new RunError('start-failed', 'The database does not answer. Is Bartizan running?', { cause });
    });
    return await work(pool, config);
  } finally {
    await pool.end();
  }
}

/**
 * Checks a push certificate with its key (PEM) and hands it to core, which takes it up by itself. Refuses one for another
 * topic than the phones were enrolled with: they would never hear from us again. `adoptTopic` takes the new topic over where
 * no phone depends on the old one. Throws RunError or FleetError with what to do.
 */
export async function installPush(
  home: Home,
  pem: string,
  options: { readonly adoptTopic?: boolean; readonly now?: number } = {},
): Promise<Installed> {
  const given = readPushCertificate(pem, options.now ?? Date.now());
  return withDatabase(home, async (pool, config) => {
    const restart = given.topic !== config.topic;
    if (restart) await mayAdopt(pool, given, config.topic, options.adoptTopic === true);
    const startedAt = Date.now();
    writePem(home, given.pem);
    if (restart) changeTopic(home, given.topic);
    const facts = { topic: given.topic, notAfter: new Date(given.certificate.notAfter), restart };
    return { ...facts, canary: restart ? undefined : await canaryOf(pool, given, startedAt) };
  });
}

/** Throws unless this topic may become the installation's. */
async function mayAdopt(pool: Pool, given: PushCertificate, topic: string, adopt: boolean): Promise<void> {
  const { rows } = await pool.query<{ bound: number }>(
    `select count(*)::int as bound from fleet.device where state in ('certified', 'authenticated', 'enrolled')`,
  );
  const { bound } = rows[0]!;
  if (bound > 0) {
    throw new RunError(
      'other-topic',
      `REFUSED. This push certificate is for the topic ${given.topic}, but ${bound} enrolled devices listen to ${topic} and to ` +
        'nothing else. With it none of them could be woken again.\nRenew the certificate for the old topic at Apple (same Apple ID, ' +
        '"Renew", not "Create"). If that Apple ID is lost for good, retire the devices, run this again with --adopt-topic and enrol them anew.',
    );
  }
  if (!adopt) {
    throw new RunError(
      'other-topic',
      `REFUSED. This push certificate is for the topic ${given.topic}; this installation enrols devices for ${topic}.\n` +
        'No device is enrolled yet, so the new topic can be taken over: run this again with --adopt-topic, then restart Bartizan.',
    );
  }
}

/** Written beside and renamed, so that core never reads half of it. */
function writePem(home: Home, pem: string): void {
  const file = join(home.state('core'), PUSH_FILE);
  writeFileSync(`${file}.new`, pem, { mode: 0o600 });
  const uid = uidOf('core');
  if (uid !== undefined) chownSync(`${file}.new`, uid, uid);
  renameSync(`${file}.new`, file);
}

function changeTopic(home: Home, topic: string): void {
  const file = join(home.dir, 'supervisor', 'instance.json');
  const instance = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
  writeFileSync(`${file}.new`, JSON.stringify({ ...instance, topic }), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Waits until core has tried the certificate. */
async function canaryOf(pool: Pool, given: PushCertificate, since: number): Promise<string | undefined> {
  while (Date.now() - since < LOOKED_WITHIN_MS) {
    const { rows } = await pool.query<{ canary: string }>(
      `select canary from fleet.push_certificate
       where sha256 = $1 and canary_at >= to_timestamp($2::double precision / 1000)`,
      [given.certificate.sha256, since],
    );
    if (rows[0] !== undefined) return rows[0].canary;
    await sleep(200);
  }
  return undefined;
}

/** The certificate in use and what waits, as `bartizan push status` shows it. */
export async function pushStatus(home: Home) {
  return withDatabase(home, async (pool, config) => ({
    endpoint: (config.push ?? APNS).url,
    topic: config.topic,
    certificate: await pushCertificateState(pool),
    pushes: await pushCounts(pool),
  }));
}
