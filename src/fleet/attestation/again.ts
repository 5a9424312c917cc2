import { type KeyObject, randomBytes } from 'node:crypto';
import { fromBase64url, sha256, toBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import { signDelivery } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { type Attestation, buildCommand, type Certificate, verifyAttestation, WireError } from '#wire';
import { contradicts } from './differs.ts';
import { keepAttestation, noteRefused, refuse, sameDevice } from './keep.ts';

export interface ReattestOptions {
  /** Core's command key. */
  readonly signKey: KeyObject;
  readonly roots: readonly Certificate[];
  /** Milliseconds. */
  readonly now: number;
}

interface Row {
  readonly device_id: string;
  readonly handle: string;
  readonly able: boolean;
  readonly serial: string | null;
  readonly udid: string | null;
  readonly state: 'idle' | 'asked' | 'answered';
  readonly command_uuid: string | null;
  readonly command: string | null;
  readonly nonces: Buffer[];
  readonly asked_at: Date[];
  readonly chain: readonly string[] | null;
  readonly days: number;
}

type Result = 'fresh' | 'cached' | 'none' | 'refused' | 'silent';

const DAY = 86_400_000;
/** Nonces that are remembered: an attestation that a device had ready answers an older one. */
const NONCES = 8;
const BATCH = 100;

/**
 * One round of asking devices again for an attestation: those whose turn it is are asked with a nonce of their own, what came is
 * judged, and who keeps silent is asked again a day later. One transaction: a crash repeats the round as a whole. Returns how
 * many were carried on.
 */
export async function reattest(pool: Pool, options: ReattestOptions): Promise<number> {
  if (options.roots.length === 0) return 0;
  return tx(pool, async (t) => {
    await t.query(
      `insert into fleet.reattestation (device_id, next_at) select d.id, to_timestamp($1::double precision / 1000)
       from fleet.device d, fleet.reattestation_plan p where p.days > 0 and d.state = 'enrolled' and fleet.may_attest(d.id)
         and not exists (select from fleet.reattestation r where r.device_id = d.id) limit $2 on conflict do nothing`,
      [options.now, BATCH],
    );
    const { rows } = await t.query<Row>(
      `select r.device_id, d.handle, fleet.may_attest(d.id) as able, d.serial, d.udid, r.state, r.command_uuid, k.state as command,
         r.nonces, r.asked_at, r.chain, p.days
       from fleet.reattestation r join fleet.device d on d.id = r.device_id cross join fleet.reattestation_plan p
       left join fleet.command k on k.uuid = r.command_uuid
       where r.state = 'answered' or (r.state = 'asked' and k.done_at is not null)
         or (r.next_at <= to_timestamp($1::double precision / 1000) and (r.state = 'asked' or p.days > 0 or r.asked_by is not null))
       order by r.next_at limit $2 for update of r skip locked`,
      [options.now, BATCH],
    );
    for (const row of rows) await step(t, row, options);
    return rows.length;
  });
}

async function step(t: Tx, row: Row, options: ReattestOptions): Promise<void> {
  if (!row.able) return settle(t, row, options, { result: 'none', reason: 'not-enrolled', next: null });
  if (row.state === 'idle') return ask(t, row, options);
  const { now } = options;
  const usual = row.days === 0 ? null : now + row.days * DAY;
  if (row.state === 'answered') return judge(t, row, options, usual);
  if (row.command === 'acknowledged' || row.command === 'unsupported' || row.command === 'error') {
    // No attestation in the answer: the device cannot, or Apple's servers could not be reached from it.
    const reason = row.command === 'acknowledged' ? 'no-attestation' : row.command;
    return settle(t, row, options, { result: 'none', reason, next: usual });
  }
  return settle(t, row, options, { result: 'silent', reason: row.command ?? 'command-gone', next: usual && now + DAY });
}

async function ask(t: Tx, row: Row, { signKey, now }: ReattestOptions): Promise<void> {
  const nonce = randomBytes(32);
  const uuid = uuidv7();
  const verb = 'DeviceInformation' as const;
  const body = buildCommand(uuid, { verb, nonce });
  const delivery = { device: row.handle, uuid, verb, body: toBase64url(sha256(body)) };
  // A key of its own: the ordinary question for facts neither replaces it nor is replaced by it.
  await t.query(
    `insert into fleet.command (uuid, device_id, request_type, body, signature, key) values ($1, $2, $3, $4, $5, 'attestation')`,
    [uuid, row.device_id, verb, body, Buffer.from(fromBase64url(signDelivery(signKey, delivery)))],
  );
  await t.query(
    `update fleet.reattestation set state = 'asked', command_uuid = $2, next_at = to_timestamp($3::double precision / 1000),
       nonces = $4, asked_at = $5 where device_id = $1`,
    [
      ...[row.device_id, uuid, now + DAY],
      ...[[nonce, ...row.nonces].slice(0, NONCES), [new Date(now), ...row.asked_at].slice(0, NONCES)],
    ],
  );
  await t.query('select fleet.want_push(array[$1::bigint])', [row.device_id]);
}

async function judge(t: Tx, row: Row, options: ReattestOptions, next: number | null): Promise<void> {
  try {
    const { attestation, fresh, at } = believe(row, options);
    const { rows } = await t.query<{ id: string }>(
      'select id from fleet.attestation where device_id = $1 and freshness = $2',
      [row.device_id, attestation.freshness],
    );
    const id = rows[0]?.id ?? (await keepAttestation(t, row, 'device-information', attestation, at));
    await compare(t, row, attestation, at.getTime());
    await settle(t, row, options, { result: fresh ? 'fresh' : 'cached', reason: null, next, attestation: id });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    await noteRefused(t, row.handle, error, 'device-information');
    await settle(t, row, options, { result: 'refused', reason: error.message, next });
  }
}

/**
 * An attestation of this very device that answers one of our nonces. Apple makes a fresh one only once in seven days: until then
 * the device gives the one that it has, with the nonce of then, and it says how things were then.
 */
function believe(row: Row, { roots, now }: ReattestOptions): { attestation: Attestation; fresh: boolean; at: Date } {
  const chain = (row.chain ?? []).map((one) => Buffer.from(one, 'base64'));
  const attestation = verifyAttestation(chain, roots, now);
  sameDevice(row, attestation.facts, true);
  // The nonce as it is or its hash: Apple's documents can be read either way, and both bind equally.
  const index = row.nonces.findIndex((nonce) =>
    [nonce, sha256(nonce)].some((one) => attestation.freshness?.equals(one) === true),
  );
  if (index < 0) return refuse('The attestation answers none of the nonces that this device was asked with.');
  const fresh = index === 0;
  return { attestation, fresh, at: fresh ? new Date(now) : row.asked_at[index]! };
}

/** What the device says of its system against what is vouched for. */
async function compare(t: Tx, row: Row, { facts }: Attestation, at: number): Promise<void> {
  const { rows } = await t.query<{ version: string | null; at: Date }>(
    `select coalesce(i.facts->>'OSVersion', d.os_version) as version, coalesce(i.taken_at, d.enrolled_at, now()) as at
     from fleet.device d left join fleet.inventory i on i.device_id = d.id and i.kind = 'DeviceInformation' where d.id = $1`,
    [row.device_id],
  );
  const reported = rows[0];
  if (reported === undefined || reported.version === null || facts.osVersion === undefined) return;
  const said = { version: reported.version, at: reported.at.getTime() };
  if (!contradicts({ version: facts.osVersion, at }, said)) return;
  await emit(t, {
    ...{ kind: 'device.attestation_differs', actor: 'core', device: row.handle },
    detail: { fact: 'osVersion', attested: facts.osVersion, reported: reported.version.slice(0, 32) },
  });
}

async function settle(
  t: Tx,
  row: Row,
  { now }: ReattestOptions,
  to: { result: Result; reason: string | null; next: number | null; attestation?: string },
): Promise<void> {
  await t.query(`update fleet.command set state = 'cancelled', done_at = now() where uuid = $1 and done_at is null`, [
    row.command_uuid,
  ]);
  await t.query(
    `update fleet.reattestation set state = 'idle', chain = null, command_uuid = null, asked_by = null, result = $2, reason = $3,
       checked_at = to_timestamp($4::double precision / 1000), attestation_id = coalesce($6, attestation_id),
       next_at = coalesce(to_timestamp($5::double precision / 1000), 'infinity') where device_id = $1`,
    [row.device_id, to.result, to.reason, now, to.next, to.attestation ?? null],
  );
  if (to.result !== 'none' || !row.able) return;
  const { rows } = await t.query('select from fleet.attestation where device_id = $1 limit 1', [row.device_id]);
  if (rows.length > 0) {
    const detail = { reason: to.reason };
    await emit(t, { kind: 'device.attestation_missing', actor: 'core', device: row.handle, detail });
  }
}
