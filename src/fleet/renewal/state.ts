import type { Queryable } from '#store';

export interface IssuedCertificate {
  /** Hexadecimal; null for certificates that were issued before there was a register. */
  readonly serial: string | null;
  readonly issuedAt: Date;
  readonly notAfter: Date | null;
  readonly seenAt: Date | null;
  readonly revokedAt: Date | null;
  readonly reason: string | null;
  /** Whether the device is known by it now. */
  readonly pinned: boolean;
}

export interface RenewalView {
  readonly state: string;
  /** JSON null where it is never tried. */
  readonly nextAt: Date | number;
  readonly attempts: number;
  readonly reason: string | null;
  readonly askedBy: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** A device's certificates, newest first, and where its renewal stands. */
export async function deviceCertificates(
  db: Queryable,
  handle: string,
): Promise<{ certificates: IssuedCertificate[]; renewal: RenewalView | null; obstacle: string | null }> {
  const { rows: certificates } = await db.query<IssuedCertificate>(
    `select encode(c.serial, 'hex') as serial, c.issued_at as "issuedAt", c.not_after as "notAfter", c.seen_at as "seenAt",
       c.revoked_at as "revokedAt", c.reason, coalesce(c.sha256 = d.certificate_sha256, false) as pinned
     from fleet.certificate c join fleet.device d on d.id = c.device_id where d.handle = $1
     order by c.issued_at desc limit 50`,
    [handle],
  );
  const { rows } = await db.query<RenewalView>(
    `select r.state, r.next_at as "nextAt", r.attempts, r.reason, r.asked_by as "askedBy", r.started_at as "startedAt",
       r.finished_at as "finishedAt" from fleet.renewal r join fleet.device d on d.id = r.device_id where d.handle = $1`,
    [handle],
  );
  return { certificates, renewal: rows[0] ?? null, obstacle: await renewalObstacle(db, handle) };
}

/** Why the device's certificate can only be replaced by enrolling it again; null where core renews it. */
export async function renewalObstacle(db: Queryable, handle: string): Promise<string | null> {
  const { rows } = await db.query<{ why: string | null }>(
    `select fleet.renewal_obstacle(id) as why from fleet.device where handle = $1 and state = 'enrolled'`,
    [handle],
  );
  return rows[0]?.why ?? null;
}

/** Asks core to renew a device's certificate now. False if it is not enrolled, or cannot be renewed. */
export async function askRenewal(t: Queryable, handle: string, by: string): Promise<boolean> {
  const { rows } = await t.query<{ asked: boolean }>('select fleet.ask_renewal($1, $2) as asked', [handle, by]);
  return rows[0]!.asked;
}

/** Revokes all of a device's certificates: it must be enrolled anew. Returns how many. */
export async function revokeCertificates(
  t: Queryable,
  handle: string,
  by: string,
  reason: 'keyCompromise' | 'privilegeWithdrawn',
): Promise<number> {
  const { rows } = await t.query<{ n: number }>('select fleet.revoke_certificates($1, $2, $3) as n', [
    handle,
    by,
    reason,
  ]);
  return rows[0]!.n;
}
