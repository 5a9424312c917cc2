import type { Queryable } from '#store';
import { enrolmentProfile, type ProfileIdentity } from '#wire';
import type { IdentityKind } from '../attestation/policy.ts';

interface Renewing {
  readonly enrolment: string;
  readonly topic: string;
}

interface Where {
  /** Edge's origin. */
  readonly origin: string;
  readonly organisation: string;
}

/**
 * The enrolment profile once more, for a new certificate: the same identifiers and addresses as at enrolment, because a
 * device takes it only for the one it has, and `secret` as the one-time value. It asks for what the enrolment asked for, or for
 * more where the policy was raised since.
 */
export async function profileAnew(
  t: Queryable,
  { enrolment, topic }: Renewing,
  { origin, organisation }: Where,
  secret: string,
): Promise<{ payload: Buffer; identity: IdentityKind }> {
  const { rows } = await t.query<{ identity: IdentityKind; fingerprint: Buffer | null }>(
    `select fleet.renewal_identity($1) as identity, (select sha256(certificate) from fleet.registration
       where certificate is not null order by requested_at desc limit 1) as fingerprint`,
    [enrolment],
  );
  const { identity, fingerprint } = rows[0]!;
  const payload = enrolmentProfile({
    ...{ id: enrolment, organisation, topic },
    identity: identityAnew(identity, origin, secret, fingerprint),
    ...{ serverUrl: `${origin}/mdm`, checkInUrl: `${origin}/checkin` },
  });
  return { payload, identity };
}

function identityAnew(
  kind: IdentityKind,
  origin: string,
  secret: string,
  caFingerprint: Buffer | null,
): ProfileIdentity {
  if (kind !== 'scep') {
    const directoryUrl = `${origin}/acme/directory`;
    return { kind: 'acme', directoryUrl, clientIdentifier: secret, attest: kind === 'acme-attested' };
  }
  const scep = { kind, url: `${origin}/scep`, challenge: secret };
  return caFingerprint === null ? scep : { ...scep, caFingerprint };
}
