import type { Clock, Logger } from '#base';
import type { Pen, PublicKeys } from '#seal';
import type { Pool } from '#store';
import {
  type Certificate,
  parseCommandResult,
  readCertificates,
  verifyIssuedBy,
  verifyMdmSignature,
  WireError,
} from '#wire';
import { type Answer, ok, refused } from './answer.ts';
import { type DevicePolicy, seal } from './check-ins.ts';
import type { Declared } from './declared.ts';
import type { Addressed, Deliveries } from './delivery.ts';
import type { Issuers } from './issuers.ts';
import type { Refusals } from './refusals.ts';
import { channelKey, type EdgeSecrets } from './secrets.ts';
import type { Turns } from './turns.ts';

/** Doors of the device plane. */
export interface DeviceDoors {
  readonly pool: Pool;
  readonly keys: PublicKeys;
  /** What edge signs the values with that devices tell it. */
  readonly pen: Pen;
  readonly secrets: EdgeSecrets;
  readonly policy: DevicePolicy;
  readonly ca: Certificate;
  /** Authorities of servers that devices were taken over from. */
  readonly issuers: Issuers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly refusals: Refusals;
  readonly turns: Turns;
  readonly deliveries: Deliveries;
  readonly declared: Declared;
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
  let old = false;
  const onLegacy = () => {
    old = true;
  };
  const signer = verifyMdmSignature(header ?? '', body, { allowLegacyDigest: doors.allowLegacy, onLegacy });
  const id = signer.sha256.toString('latin1');
  const now = doors.clock();
  if (!trusted.has(id)) {
    if (verifyIssuedBy(signer, doors.ca, now)) {
      if (trusted.size >= MAX_TRUSTED) trusted.clear();
      trusted.add(id);
    } else if (!doors.issuers.issued(signer, now)) {
      throw new WireError('certificate', 'The certificate is not one of ours.');
    }
  }
  if (now > signer.notAfter) throw new WireError('certificate', 'The certificate has expired.');
  if (old) doors.refusals.legacy();
  return signer;
}

/**
 * Whether a message shows a certificate of ours, before its body is read. It proves nothing: certificates can be copied. It
 * keeps those out who have none.
 */
export function showsOurs(doors: Pick<DeviceDoors, 'ca' | 'issuers' | 'clock'>, header: string | undefined): boolean {
  const now = doors.clock();
  try {
    const found = readCertificates(Buffer.from((header ?? '').replace(/\s+/g, ''), 'base64')).slice(0, 8);
    return found.some((one) => verifyIssuedBy(one, doors.ca, now) || doors.issuers.issued(one, now));
  } catch {
    return false;
  }
}

/** `/mdm`: the answer to the last command, if any, and the next command. */
export async function commandTurn(
  doors: DeviceDoors,
  signer: Certificate,
  body: Uint8Array,
  addressed: Addressed,
): Promise<Answer> {
  const { turns, deliveries } = doors;
  const result = parseCommandResult(body);
  const channel = channelKey(doors.secrets, result);
  let turn = await turns.turn(signer.sha256, result, channel);
  if (turn.verdict !== 'own' || turn.handle === null) {
    doors.refusals.count('certificate');
    return refused;
  }
  if (result.personal.size > 0 && channel === null) await seal(doors, turn.handle, result.personal);
  for (let refusals = 0; turn.uuid !== null && refusals < MAX_REFUSED; refusals += 1) {
    const judged = await deliveries.judge(turn, doors.clock(), addressed);
    if ('body' in judged) {
      if (await turns.delivered(turn.uuid)) return ok(judged.body);
    } else if (judged.fault === 'later') {
      return ok();
    } else if (judged.fault !== 'no-secret') {
      doors.log.warn('a queued command was refused', { why: judged.fault });
      await turns.refuseCommand(turn.uuid, judged.fault);
    }
    turn = await turns.again(signer.sha256, result.udid, result.status === 'Idle', channel);
  }
  return ok();
}
