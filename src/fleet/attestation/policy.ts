import type { Queryable } from '#store';
import { type Certificate, fromPem, parseCertificate } from '#wire';
import { FleetError } from '../error.ts';

/** From weak to strong: what a device must bring to get its certificate. */
export const IDENTITY_KINDS = ['scep', 'acme', 'acme-attested'] as const;
export type IdentityKind = (typeof IDENTITY_KINDS)[number];

export interface IdentityPolicy {
  /** The least that an enrolment may ask for. */
  readonly identity: IdentityKind;
  readonly roots: readonly { readonly name: string; readonly sha256: string; readonly notAfter: string }[];
}

/** Attestation roots from PEM texts, each with one or more certificates. Throws FleetError for what is no CA certificate. */
export function readAttestationRoots(pems: readonly string[]): Certificate[] {
  const blocks = pems.flatMap((pem) => pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? ['']);
  return blocks.map((block) => {
    try {
      const certificate = parseCertificate(fromPem(block));
      if (certificate.isCa) return certificate;
    } catch {}
    throw new FleetError('bad-request', 'An attestation root is a PEM file with the certificate of a root CA.');
  });
}

/** Writes the installation's policy where the database holds others to it. Refuses one that no device could satisfy. */
export async function setIdentityPolicy(
  db: Queryable,
  identity: IdentityKind,
  roots: readonly Certificate[],
): Promise<void> {
  if (identity === 'acme-attested' && roots.length === 0) {
    throw new FleetError('bad-request', 'Attested identities need an attestation root. Name its PEM file.');
  }
  const shown = roots.map((root) => ({
    name: (root.commonName ?? 'root without a name').slice(0, 128),
    sha256: root.sha256.toString('hex'),
    notAfter: new Date(root.notAfter).toISOString(),
  }));
  await db.query('select fleet.set_identity_policy($1, $2)', [identity, JSON.stringify(shown)]);
}

export async function identityPolicy(db: Queryable): Promise<IdentityPolicy> {
  const { rows } = await db.query<IdentityPolicy>('select identity, roots from fleet.identity_policy');
  return rows[0] ?? { identity: 'scep', roots: [] };
}

/** Names the one device that an unopened link is for. Throws `unknown-device` if there is no such link any more. */
export async function expectSerial(db: Queryable, device: string, serial: string): Promise<void> {
  const { rows } = await db.query<{ ok: boolean }>('select fleet.expect_serial($1, $2) as ok', [device, serial]);
  if (rows[0]?.ok !== true) {
    throw new FleetError('unknown-device', 'No unopened enrolment link waits for this device.', { status: 404 });
  }
}
