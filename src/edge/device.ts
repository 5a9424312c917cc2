import type { Clock, Logger, Sealed } from '#base';
import { type PublicKeys, sealField } from '#seal';
import type { Pool } from '#store';
import {
  type Certificate,
  type CheckIn,
  type Personal,
  parseCheckIn,
  parseCommandResult,
  verifyIssuedBy,
  verifyMdmSignature,
  WireError,
} from '#wire';
import { type Answer, ok, refused } from './answer.ts';
import type { Deliveries } from './delivery.ts';
import type { Refusals } from './refusals.ts';
import type { Turns } from './turns.ts';

/** Doors of the device plane. */
export interface DeviceDoors {
  readonly pool: Pool;
  readonly keys: PublicKeys;
  readonly ca: Certificate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly refusals: Refusals;
  readonly turns: Turns;
  readonly deliveries: Deliveries;
  /** Whether SHA-1 signatures of old clients are taken. */
  readonly allowLegacy: boolean;
}

/** A row that fails its signature is refused and the next one tried; more than this in one turn is an attack. */
const MAX_REFUSED = 50;

/** Certificates known to be of our CA, by hash: the chain is checked once, dates every time. */
const trusted = new Set<string>();
const MAX_TRUSTED = 200_000;

/** Authenticates a message before anything of it is parsed: signature over the body, then our CA. */
export function authenticateMessage(doors: DeviceDoors, header: string | undefined, body: Uint8Array): Certificate {
  const signer = verifyMdmSignature(header ?? '', body, { allowLegacyDigest: doors.allowLegacy });
  const id = signer.sha256.toString('latin1');
  const now = doors.clock();
  if (!trusted.has(id)) {
    if (!verifyIssuedBy(signer, doors.ca, now))
      throw new WireError('certificate', 'The certificate is not one of ours.');
    if (trusted.size >= MAX_TRUSTED) trusted.clear();
    trusted.add(id);
  }
  if (now > signer.notAfter) throw new WireError('certificate', 'The certificate has expired.');
  return signer;
}

/** `/checkin`: Authenticate, TokenUpdate, CheckOut. */
export async function checkIn(doors: DeviceDoors, signer: Certificate, body: Uint8Array): Promise<Answer> {
  const message = parseCheckIn(body);
  const { verdict, handle } = await record(doors, signer, message);
  if (verdict !== 'own' || handle === null) {
    doors.refusals.count('certificate');
    return refused;
  }
  await seal(doors, handle, message.personal);
  return ok();
}

async function record(
  doors: DeviceDoors,
  signer: Certificate,
  message: CheckIn,
): Promise<{ verdict: string; handle: string | null }> {
  const { pool } = doors;
  const findings = [...message.findings];
  switch (message.type) {
    case 'Authenticate': {
      const { serial, model, productName, osVersion, buildVersion } = message;
      const facts = JSON.stringify({ serial, model, productName, osVersion, buildVersion });
      const params = [signer.sha256, message.udid, message.topic, facts, findings];
      return first(pool, 'select * from edge.authenticate($1, $2, $3, $4, $5)', params).catch((error: unknown) =>
        refuseMismatch(pool, signer, error),
      );
    }
    case 'TokenUpdate':
      return first(pool, 'select * from edge.token_update($1, $2, $3, $4, $5, $6)', [
        ...[signer.sha256, message.udid, message.topic, Buffer.from(message.token), message.pushMagic, findings],
      ]);
    case 'CheckOut':
      return first(pool, 'select * from edge.check_out($1, $2)', [signer.sha256, message.udid]);
  }
}

/** A device that was attested as another one: Authenticate was undone as a whole (migrations/0025_acme.sql), this is kept. */
async function refuseMismatch(pool: Pool, signer: Certificate, error: unknown): Promise<never> {
  if (!(error instanceof Error && 'code' in error && error.code === 'BZ001')) throw error;
  await pool.query('select edge.attestation_mismatch($1)', [signer.sha256]);
  throw new WireError('attestation', 'The device is not the one that its key was attested for.', { cause: error });
}

async function first(
  pool: Pool,
  sql: string,
  params: readonly unknown[],
): Promise<{ verdict: string; handle: string | null }> {
  const { rows } = await pool.query<{ verdict: string; handle: string | null }>(sql, params);
  return rows[0] ?? { verdict: 'unknown', handle: null };
}

/** `/mdm`: the answer to the last command, if any, and the next command. */
export async function commandTurn(doors: DeviceDoors, signer: Certificate, body: Uint8Array): Promise<Answer> {
  const { turns, deliveries } = doors;
  const result = parseCommandResult(body);
  let turn = await turns.turn(signer.sha256, result);
  if (turn.verdict !== 'own' || turn.handle === null) {
    doors.refusals.count('certificate');
    return refused;
  }
  if (result.personal.size > 0) await seal(doors, turn.handle, result.personal);
  for (let refusals = 0; turn.uuid !== null && refusals < MAX_REFUSED; refusals += 1) {
    const judged = await deliveries.judge(turn, doors.clock());
    if ('body' in judged) {
      if (await turns.delivered(turn.uuid)) return ok(judged.body);
    } else {
      doors.log.warn('a queued command was refused', { why: judged.fault });
      await turns.refuseCommand(turn.uuid, judged.fault);
    }
    turn = await turns.again(signer.sha256, result.udid, result.status === 'Idle');
  }
  return ok();
}

/** Seals what a message says of a person; it exists in clear only inside this call. */
async function seal(doors: DeviceDoors, handle: string, personal: Personal): Promise<void> {
  for (const [field, value] of personal) await sealOne(doors, handle, field, value);
}

async function sealOne(
  doors: DeviceDoors,
  handle: string,
  field: 'device-name' | 'unlock-token',
  value: Sealed<string>,
): Promise<void> {
  const { rows } = await doors.pool.query<{ version: number }>('select edge.next_version($1, $2) as version', [
    handle,
    field,
  ]);
  const { version } = rows[0]!;
  const outer = sealField({ keys: doors.keys, subject: handle, field, version, value });
  await doors.pool.query('select edge.put_sealed($1, $2, $3, $4)', [handle, field, version, outer]);
}
