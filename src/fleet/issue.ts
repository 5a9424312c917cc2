import { emit } from '#log';
import { type Pool, type Queryable, tx } from '#store';
import { type Certificate, issueWith, parseCsr, WireError } from '#wire';
import type { IdentityKind } from './attestation/policy.ts';
import type { DeviceCa } from './ca.ts';

const DEVICE_DAYS = 365;
const REGISTRATION_DAYS = 730;

/** The profile of device certificates: RSA of 2048 bits or more, P-256 or P-384; client authentication only. */
export interface IssueOptions {
  /** Days that a device certificate counts; 365 if it is left out. */
  readonly days?: number;
  /** Where the list of revoked certificates is. */
  readonly crlUrl?: string;
}

/**
 * Signs what edge asked for: device certificates (subject = enrolment id, never a person) and edge's own registration
 * certificate. Returns how many were decided. A crash before commit leaves the request pending for the next run.
 */
export async function issuePending(
  pool: Pool,
  ca: DeviceCa,
  now: number,
  { days = DEVICE_DAYS, crlUrl }: IssueOptions = {},
): Promise<number> {
  const registrations = await issueRegistrations(pool, ca, now);
  const decided = await tx(pool, async (t) => {
    const { rows } = await t.query<{
      id: string;
      csr: Buffer;
      enrolment_id: string;
      device_id: number;
      handle: string;
      renewal: boolean;
      identity: IdentityKind;
      attestation_id: string | null;
    }>(
      `select r.id, r.csr, r.enrolment_id, r.renewal, d.id as device_id, d.handle, o.attestation_id,
         coalesce(o.identity, case when r.renewal and o.id is null then 'scep' else e.identity end) as identity
       from fleet.certificate_request r join fleet.enrolment e on e.id = r.enrolment_id join fleet.device d on d.id = e.device_id
       left join fleet.acme_order o on o.id = r.order_id
       where r.state = 'pending' order by r.created_at limit 32 for update of r skip locked`,
    );
    for (const row of rows) {
      try {
        const issued = await issueWith(
          ca,
          {
            ...{ spki: parseCsr(row.csr).spki, commonName: row.enrolment_id, days, usage: 'device', now },
            ...(crlUrl === undefined ? {} : { crlUrl }),
          },
          { allowWeakRsa: false },
        );
        await t.query(
          `update fleet.certificate_request set state = 'issued', certificate = $2, done_at = now() where id = $1`,
          [row.id, Buffer.from(issued.der)],
        );
        await register(t, row.device_id, issued, row);
        if (row.renewal) await expectNewCertificate(t, row.device_id);
        else {
          await t.query(
            `update fleet.device set certificate_sha256 = $2, certificate_not_after = to_timestamp($3::double precision / 1000),
               state = 'certified' where id = $1`,
            [row.device_id, issued.sha256, issued.notAfter],
          );
        }
        await emit(t, {
          kind: 'device.certified',
          actor: 'core',
          device: row.handle,
          detail: { renewal: row.renewal },
        });
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        await t.query(
          `update fleet.certificate_request set state = 'refused', reason = $2, done_at = now() where id = $1`,
          [row.id, error.code],
        );
        await emit(t, {
          kind: 'device.refused',
          actor: 'core',
          device: row.handle,
          detail: { reason: `csr-${error.code}` },
        });
      }
    }
    return rows.length;
  });
  return registrations + decided;
}

/** Notes an issued certificate and what stands behind it: only what is in this register counts, and it is revoked here. */
export async function register(
  t: Queryable,
  device: number,
  issued: Certificate,
  behind: { readonly identity: IdentityKind; readonly attestation_id: string | null },
): Promise<void> {
  await t.query(
    `insert into fleet.certificate (sha256, serial, device_id, not_after, identity, attestation_id)
     values ($1, $2, $3, to_timestamp($4::double precision / 1000), $5, $6)`,
    [
      ...[issued.sha256, Buffer.from(issued.serial), device, issued.notAfter],
      ...[behind.identity, behind.attestation_id],
    ],
  );
}

/** The pin moves when the device first uses it; until then the old one is good, so that a lost answer strands nobody. */
async function expectNewCertificate(t: Queryable, device: number): Promise<void> {
  await t.query(`update fleet.renewal set state = 'issued' where device_id = $1 and state = 'sent'`, [device]);
}

async function issueRegistrations(pool: Pool, ca: DeviceCa, now: number): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ spki_sha256: Buffer; csr: Buffer }>(
      'select spki_sha256, csr from fleet.registration where certificate is null limit 8 for update skip locked',
    );
    for (const row of rows) {
      const issued = await issueWith(ca, {
        spki: parseCsr(row.csr).spki,
        commonName: 'Bartizan registration authority',
        days: REGISTRATION_DAYS,
        usage: 'registration',
        now,
      });
      await t.query('update fleet.registration set certificate = $2, ca = $3 where spki_sha256 = $1', [
        row.spki_sha256,
        Buffer.from(issued.der),
        Buffer.from(ca.certificate.der),
      ]);
    }
    return rows.length;
  });
}
