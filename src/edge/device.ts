import { type Clock, type Logger, type Sealed, sha256, toBase64url } from '#base';
import { type Permit, type PublicKeys, sealField, verifyDelivery, verifyPermit } from '#seal';
import type { Pool } from '#store';
import {
  type Certificate,
  type CheckIn,
  type CommandResult,
  isDict,
  type Personal,
  type Plist,
  parseCheckIn,
  parseCommandResult,
  parsePlist,
  textAt,
  verifyIssuedBy,
  verifyMdmSignature,
  WireError,
} from '#wire';
import { type Answer, ok, refused } from './answer.ts';
import type { Refusals } from './refusals.ts';

/** Doors of the device plane. */
export interface DeviceDoors {
  readonly pool: Pool;
  readonly keys: PublicKeys;
  readonly ca: Certificate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly refusals: Refusals;
  /** Whether SHA-1 signatures of old clients are taken. */
  readonly allowLegacy: boolean;
}

interface Turn {
  readonly verdict: string;
  readonly handle: string | null;
  readonly uuid: string | null;
  readonly request_type: string;
  readonly body: Buffer;
  readonly signature: Buffer;
  readonly permit: Permit | null;
}

/** Commands that are delivered only with the ledger's permit; DeviceLock only if it was approved by two. */
const NEEDS_PERMIT = new Set(['EraseDevice']);
/** A row that fails its signature is refused and the next one tried; more than this in one turn is an attack. */
const MAX_REFUSED = 50;

/** Certificates known to be of our CA, by hash: the chain is checked once, dates every time. */
const trusted = new Map<string, Certificate>();

/** Authenticates a message before anything of it is parsed: signature over the body, then our CA. */
export function authenticateMessage(doors: DeviceDoors, header: string | undefined, body: Uint8Array): Certificate {
  const signer = verifyMdmSignature(header ?? '', body, { allowLegacyDigest: doors.allowLegacy });
  const id = signer.sha256.toString('latin1');
  const now = doors.clock();
  if (!trusted.has(id)) {
    if (!verifyIssuedBy(signer, doors.ca, now))
      throw new WireError('certificate', 'The certificate is not one of ours.');
    if (trusted.size >= 50_000) trusted.clear();
    trusted.set(id, signer);
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
      return first(pool, 'select * from edge.authenticate($1, $2, $3, $4, $5)', [
        signer.sha256,
        message.udid,
        message.topic,
        facts,
        findings,
      ]);
    }
    case 'TokenUpdate':
      return first(pool, 'select * from edge.token_update($1, $2, $3, $4, $5, $6)', [
        ...[signer.sha256, message.udid, message.topic, Buffer.from(message.token), message.pushMagic, findings],
      ]);
    case 'CheckOut':
      return first(pool, 'select * from edge.check_out($1, $2)', [signer.sha256, message.udid]);
  }
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
  const result = parseCommandResult(body);
  let turn = await takeTurn(doors, signer, result);
  if (turn.verdict !== 'own' || turn.handle === null) {
    doors.refusals.count('certificate');
    return refused;
  }
  await seal(doors, turn.handle, result.personal);
  for (let refusals = 0; turn.uuid !== null && refusals < MAX_REFUSED; refusals += 1) {
    const fault = deliveryFault(doors, turn);
    if (fault === undefined) {
      const { rows } = await doors.pool.query<{ sent: boolean }>('select edge.delivered($1) as sent', [turn.uuid]);
      if (rows[0]!.sent) return ok(turn.body);
    } else {
      doors.log.warn('a queued command was refused', { why: fault });
      await doors.pool.query('select edge.refuse_unsigned($1, $2)', [turn.uuid, fault]);
    }
    turn = await takeTurn(doors, signer, {
      ...result,
      status: result.status === 'Idle' ? 'Idle' : 'Acknowledged',
      inventory: undefined,
      findings: [],
    });
  }
  return ok();
}

async function takeTurn(doors: DeviceDoors, signer: Certificate, result: CommandResult): Promise<Turn> {
  const { rows } = await doors.pool.query<Turn>('select * from edge.turn($1, $2, $3, $4, $5, $6, $7, $8)', [
    ...[signer.sha256, result.udid, result.status, result.commandUuid ?? null, JSON.stringify(result.errors)],
    ...[
      result.inventory?.kind ?? null,
      result.inventory ? JSON.stringify(result.inventory.facts) : null,
      [...result.findings],
    ],
  ]);
  return rows[0]!;
}

/** Why a queued row must not reach the device, or undefined. Only core's signature and the ledger's permit count. */
function deliveryFault(doors: DeviceDoors, turn: Turn): string | undefined {
  const statement = {
    device: turn.handle!,
    uuid: turn.uuid!,
    verb: turn.request_type,
    body: toBase64url(sha256(turn.body)),
  };
  if (!verifyDelivery(doors.keys.core, statement, turn.signature)) return 'not-signed-by-core';
  if (!says(turn.body, turn.request_type, turn.uuid!)) return 'verb-differs';
  const { permit } = turn;
  if (permit === null) return NEEDS_PERMIT.has(turn.request_type) ? 'permit-missing' : undefined;
  const same =
    permit.device === statement.device &&
    permit.uuid === statement.uuid &&
    permit.body === statement.body &&
    permit.verb === statement.verb;
  if (!same || !verifyPermit(doors.keys.ledger, permit)) return 'permit-invalid';
  return permit.notAfter < doors.clock() ? 'permit-expired' : undefined;
}

/** Whether a command's body is this verb under this identifier: a body that hides another verb needs no permit otherwise. */
function says(body: Uint8Array, verb: string, uuid: string): boolean {
  let root: Plist;
  try {
    root = parsePlist(body);
  } catch {
    // Refused as a row like any other, so that the rows behind it are still served.
    return false;
  }
  if (!isDict(root)) return false;
  const command = root.get('Command');
  return (
    command !== undefined &&
    isDict(command) &&
    textAt(command, 'RequestType') === verb &&
    textAt(root, 'CommandUUID') === uuid
  );
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
