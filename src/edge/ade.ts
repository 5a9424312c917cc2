import { newToken, sha256 } from '#base';
import {
  compareVersions,
  fromPem,
  parseCertificate,
  parseMachineInfo,
  unrecognisedDevice,
  updateRequired,
} from '#wire';
import { type Answer, refused } from './answer.ts';
import { type EnrolDoors, profileAnswer } from './enrol.ts';

/** What the console set (fleet's AdePolicy); edge needs these of it. */
interface Policy {
  readonly unverified?: 'refuse' | 'accept';
  readonly deviceCas?: string;
  readonly minimumOs?: string;
}

const denied = (body: Buffer): Answer => ({ status: 403, type: 'application/json', body });

/**
 * `/ade`: a device in Setup Assistant asks for its enrolment profile with a signed MachineInfo, as body, as `deviceinfo`
 * of the query (base64url) or as header. Only a serial number that Apple assigned to our server gets one.
 */
export async function deviceEnrolment(doors: EnrolDoors, body: Uint8Array, inline: string | null): Promise<Answer> {
  const message = body.length > 0 ? body : Buffer.from(inline ?? '', 'base64url');
  if (message.length === 0) {
    doors.refusals.count('machine-info');
    return refused;
  }
  const { rows } = await doors.pool.query<{ policy: Policy | null }>('select edge.ade_policy() as policy');
  const policy = rows[0]?.policy ?? {};
  const info = parseMachineInfo(message, authorities(policy.deviceCas ?? ''));
  if (!info.verified && policy.unverified !== 'accept') {
    doors.refusals.count('machine-info');
    return denied(unrecognisedDevice());
  }
  const least = policy.minimumOs ?? '';
  const old = least !== '' && (info.osVersion === undefined || compareVersions(info.osVersion, least) < 0);
  // One that cannot be told to update would only be stuck.
  if (old && info.canUpdate) return denied(updateRequired(least));
  const challenge = newToken();
  const given = await doors.pool.query<{ id: string | null }>('select edge.ade_enrol($1, $2, $3, $4, $5) as id', [
    info.serial ?? '',
    sha256(newToken()),
    sha256(challenge),
    'scep',
    info.verified,
  ]);
  const id = given.rows[0]?.id ?? null;
  if (id === null) {
    doors.refusals.count('serial');
    return denied(unrecognisedDevice());
  }
  return profileAnswer(doors, id, challenge);
}

function authorities(pem: string) {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => parseCertificate(fromPem(block)));
}
