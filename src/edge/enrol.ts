import { setTimeout as sleep } from 'node:timers/promises';
import { newToken, sha256, uuidv7 } from '#base';
import type { Pool } from '#store';
import {
  type Certificate,
  certRepFailure,
  certRepSuccess,
  type EnrolmentProfile,
  enrolmentProfile,
  parseCertificate,
  parseCsr,
  parsePkiMessage,
  SCEP_CAPS,
  SCEP_CAPS_MODERN,
  WireError,
} from '#wire';
import { type Answer, busy, gone, ok, refused } from './answer.ts';
import { identityFor } from './identity.ts';
import type { Refusals } from './refusals.ts';
import type { EdgeIdentity } from './registration.ts';
import { signedProfile } from './signed-profile.ts';

export interface EnrolDoors {
  readonly pool: Pool;
  readonly identity: EdgeIdentity;
  readonly origin: string;
  readonly organisation: string;
  readonly topic: string;
  readonly allowLegacy: boolean;
  readonly refusals: Refusals;
  /** Whether enrolment profiles are signed (CMS); some old clients read plain XML only. */
  readonly signProfiles?: boolean;
}

/** `GET /enrol/:token`: spends nothing yet; each opening makes a new challenge and voids the one before. */
export async function openLink(doors: EnrolDoors, token: string): Promise<Answer> {
  const challenge = newToken();
  const { rows } = await doors.pool.query<{ id: string | null }>('select edge.open_link($1, $2) as id', [
    sha256(token),
    sha256(challenge),
  ]);
  const id = rows[0]?.id ?? null;
  if (id === null) {
    doors.refusals.count('link');
    return gone;
  }
  return profileAnswer(doors, id, challenge);
}

/** The profile that enrols, with the identity that the enrolment asks for; `account`: a device under a managed account. */
export async function profileAnswer(
  doors: EnrolDoors,
  id: string,
  challenge: string,
  account?: EnrolmentProfile['account'] & { readonly box: string },
): Promise<Answer> {
  const profile = enrolmentProfile({
    id,
    organisation: doors.organisation,
    identity: await identityFor(doors, id, challenge),
    serverUrl: `${doors.origin}/mdm${account === undefined ? '' : `?account=${account.box}`}`,
    checkInUrl: `${doors.origin}/checkin`,
    topic: doors.topic,
    ...(account === undefined ? {} : { account }),
  });
  return ok(
    doors.signProfiles === true ? signedProfile(doors.identity, profile) : profile,
    'application/x-apple-aspen-config',
  );
}

/** `/scep` (RFC 8894): GetCACaps, GetCACert, PKIOperation by GET and POST. */
export async function scep(
  doors: EnrolDoors,
  operation: string | null,
  message: string | null,
  body: Uint8Array,
): Promise<Answer> {
  switch (operation) {
    case 'GetCACaps':
      return ok(Buffer.from(doors.allowLegacy ? SCEP_CAPS : SCEP_CAPS_MODERN), 'text/plain');
    case 'GetCACert':
      // One certificate, the RA's: clients parse the raw bytes, encrypt to it and check the answer with it.
      return ok(doors.identity.registration.certificate.der, 'application/x-x509-ca-cert');
    case 'PKIOperation':
      return pkiOperation(doors, body.length > 0 ? body : messageBytes(message ?? ''));
    default:
      doors.refusals.count('scep');
      return refused;
  }
}

/** Both base64 alphabets occur in the wild, and `+` arrives as a space. */
function messageBytes(text: string): Buffer {
  const standard = text.replace(/ /g, '+').replace(/-/g, '+').replace(/_/g, '/').replace(/\s+/g, '');
  if (standard.length === 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(standard))
    throw new WireError('scep', 'The SCEP message is not base64.');
  return Buffer.from(standard, 'base64');
}

async function pkiOperation(doors: EnrolDoors, message: Uint8Array): Promise<Answer> {
  const { registration } = doors.identity;
  let old = false;
  const onLegacy = () => {
    old = true;
  };
  const request = parsePkiMessage(message, registration, { allowLegacy: doors.allowLegacy, onLegacy });
  const answer = (body: Buffer) => ok(body, 'application/x-pki-message');
  let challenge: string | undefined;
  try {
    challenge = parseCsr(request.csr).challengePassword;
  } catch {
    doors.refusals.count('scep');
    return answer(certRepFailure(request, registration, 'badMessageCheck'));
  }
  const id = uuidv7();
  const ask = async (procedure: 'request_certificate' | 'request_renewal') => {
    const params = [id, sha256(challenge ?? ''), request.csr];
    const { rows } = await doors.pool.query<{ id: string | null }>(
      `select edge.${procedure}($1, $2, $3) as id`,
      params,
    );
    return rows[0]?.id === id;
  };
  if (!(await ask('request_certificate')) && !(await ask('request_renewal'))) {
    doors.refusals.count('challenge');
    return answer(certRepFailure(request, registration, 'badRequest'));
  }
  if (old) doors.refusals.legacy();
  const issued = await waitForCertificate(doors.pool, id);
  if (issued === 'late') return busy;
  if (issued === 'refused') return answer(certRepFailure(request, registration, 'badRequest'));
  return answer(certRepSuccess(request, registration, [issued, doors.identity.ca]));
}

/** Core signs; edge waits, at most 15 s. A device that is told to wait longer tries again with a fresh profile. */
async function waitForCertificate(pool: Pool, id: string): Promise<Certificate | 'refused' | 'late'> {
  for (let waited = 0, step = 10; waited < 15_000; waited += step, step = Math.min(step * 2, 160)) {
    await sleep(step);
    const { rows } = await pool.query<{ state: string; certificate: Buffer | null }>(
      'select * from edge.certificate($1)',
      [id],
    );
    const row = rows[0];
    if (row?.state === 'issued' && row.certificate) return parseCertificate(row.certificate);
    if (row?.state === 'refused') return 'refused';
  }
  return 'late';
}
