import type { ProfileIdentity } from '#wire';
import type { EnrolDoors } from './enrol.ts';

/**
 * What an enrolment's profile asks the device to do for its certificate; `secret` is the one-time value whose hash is the
 * enrolment's challenge: SCEP's challenge password or ACME's identifier.
 */
export async function identityFor(doors: EnrolDoors, enrolment: string, secret: string): Promise<ProfileIdentity> {
  const { rows } = await doors.pool.query<{ kind: string | null }>('select edge.enrolment_identity($1) as kind', [
    enrolment,
  ]);
  const kind = rows[0]?.kind ?? 'scep';
  if (kind !== 'scep') {
    return {
      kind: 'acme',
      directoryUrl: `${doors.origin}/acme/directory`,
      clientIdentifier: secret,
      attest: kind === 'acme-attested',
    };
  }
  return {
    kind: 'scep',
    url: `${doors.origin}/scep`,
    challenge: secret,
    caFingerprint: doors.identity.registration.certificate.sha256,
  };
}
