import type { Queryable } from '#store';
import { enrolmentProfile, type ForeignProfile, type ProfileIdentity } from '#wire';
import type { IdentityKind } from '../attestation/policy.ts';

interface Renewing {
  readonly device_id: number;
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
  { device_id: device, enrolment, topic }: Renewing,
  { origin, organisation }: Where,
  secret: string,
): Promise<{ payload: Buffer; identity: IdentityKind }> {
  const { rows } = await t.query<{
    identity: IdentityKind;
    fingerprint: Buffer | null;
    mode: 'BYOD' | 'ADDE' | null;
    foreign: ForeignProfile | null;
  }>(
    `select fleet.renewal_identity($1) as identity, (select mode from fleet.account_device where device_id = $2) as mode,
       (select json_build_object('identifier', identifier, 'mdmIdentifier', mdm_identifier, 'serverUrl', server_url,
          'checkInUrl', check_in_url, 'accessRights', access_rights) from fleet.foreign_profile where device_id = $2) as foreign,
       (select sha256(certificate) from fleet.registration
       where certificate is not null order by requested_at desc limit 1) as fingerprint`,
    [enrolment, device],
  );
  const { identity, fingerprint, mode, foreign } = rows[0]!;
  const payload = enrolmentProfile({
    ...{ id: enrolment, organisation, topic },
    identity: identityAnew(identity, origin, secret, fingerprint),
    ...{ serverUrl: `${origin}/mdm`, checkInUrl: `${origin}/checkin` },
    // Edge fills in the account that the device itself carries, and its box in the address.
    ...(mode === null ? {} : { account: { managedAppleId: '', mode } }),
    ...(foreign === null ? {} : { foreign }),
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
