import type { Queryable } from '#store';

/** What stands behind a device's certificate. */
export interface DeviceIdentity {
  /** How the certificate in use was asked for; null before there is one. */
  readonly kind: string | null;
  /** Newest first; `current` is the one that the certificate's key was attested in. */
  readonly attestations: readonly {
    readonly id: string;
    readonly via: string;
    readonly current: boolean;
    readonly serial: string | null;
    readonly udid: string | null;
    readonly facts: Readonly<Record<string, string>>;
    readonly rootName: string;
    readonly rootSha256: string;
    readonly attestedAt: Date;
  }[];
  /** Asking again; null if that was never done. */
  readonly again: {
    readonly state: string;
    readonly nextAt: Date | number;
    readonly result: string | null;
    readonly reason: string | null;
    readonly checkedAt: Date | null;
    /** The attestation that came of it last. */
    readonly attestation: string | null;
  } | null;
}

/** The identity of a device with its last 20 attestations. An unknown device has neither. */
export async function deviceIdentity(db: Queryable, handle: string): Promise<DeviceIdentity> {
  const device = await db.query<{ kind: string | null }>(
    'select identity as kind from fleet.device where handle = $1',
    [handle],
  );
  const { rows } = await db.query<DeviceIdentity['attestations'][number]>(
    `select a.id, a.via, a.id is not distinct from d.attestation_id as current, a.serial, a.udid, a.facts,
       a.root_name as "rootName", encode(a.root_sha256, 'hex') as "rootSha256", a.attested_at as "attestedAt"
     from fleet.attestation a join fleet.device d on d.id = a.device_id where d.handle = $1 order by a.attested_at desc limit 20`,
    [handle],
  );
  const { rows: again } = await db.query<NonNullable<DeviceIdentity['again']>>(
    `select r.state, r.next_at as "nextAt", r.result, r.reason, r.checked_at as "checkedAt", r.attestation_id as attestation
     from fleet.reattestation r join fleet.device d on d.id = r.device_id where d.handle = $1`,
    [handle],
  );
  return { kind: device.rows[0]?.kind ?? null, attestations: rows, again: again[0] ?? null };
}
