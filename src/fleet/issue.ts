import { emit } from '#log';
import { type Pool, tx } from '#store';
import { issueCertificate, parseCsr, WireError } from '#wire';
import type { DeviceCa } from './ca.ts';

const DEVICE_DAYS = 365;
const REGISTRATION_DAYS = 730;

/**
 * Signs what edge asked for: device certificates (subject = enrolment id, never a person) and edge's own registration
 * certificate. Returns how many were decided. A crash before commit leaves the request pending for the next run.
 */
export async function issuePending(pool: Pool, ca: DeviceCa, now: number): Promise<number> {
  const registrations = await issueRegistrations(pool, ca, now);
  const decided = await tx(pool, async (t) => {
    const { rows } = await t.query<{
      id: string;
      csr: Buffer;
      enrolment_id: string;
      device_id: number;
      handle: string;
    }>(
      `select r.id, r.csr, r.enrolment_id, d.id as device_id, d.handle
       from fleet.certificate_request r join fleet.enrolment e on e.id = r.enrolment_id join fleet.device d on d.id = e.device_id
       where r.state = 'pending' order by r.created_at limit 32 for update of r skip locked`,
    );
    for (const row of rows) {
      try {
        const issued = issueCertificate(
          ca,
          { spki: parseCsr(row.csr).spki, commonName: row.enrolment_id, days: DEVICE_DAYS, usage: 'device', now },
          { allowWeakRsa: false },
        );
        await t.query(
          `update fleet.certificate_request set state = 'issued', certificate = $2, done_at = now() where id = $1`,
          [row.id, Buffer.from(issued.der)],
        );
        await t.query(
          `update fleet.device set certificate_sha256 = $2, certificate_not_after = to_timestamp($3::double precision / 1000),
             state = 'certified' where id = $1`,
          [row.device_id, issued.sha256, issued.notAfter],
        );
        await emit(t, { kind: 'device.certified', actor: 'core', device: row.handle });
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

async function issueRegistrations(pool: Pool, ca: DeviceCa, now: number): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ spki_sha256: Buffer; csr: Buffer }>(
      'select spki_sha256, csr from fleet.registration where certificate is null limit 8 for update skip locked',
    );
    for (const row of rows) {
      const issued = issueCertificate(ca, {
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
