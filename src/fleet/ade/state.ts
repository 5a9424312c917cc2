import type { Queryable } from '#store';
import { parseCertificate, toPem } from '#wire';
import { type AdePolicy, readAdePolicy } from './policy.ts';

export interface AdeDeviceRow {
  readonly serial: string;
  readonly device: string;
  readonly state: string;
  readonly holder: string | null;
  readonly model: string | null;
  readonly profileStatus: string;
  readonly wanted: string | null;
  readonly answer: string | null;
  readonly removedAt: Date | null;
}

/** Where device assignment stands: token, last sync, what is wrong, and up to `limit` of its devices. */
export async function adeState(db: Queryable, limit = 200) {
  const { rows } = await db.query<{
    certificate: Buffer | null;
    policy: Partial<AdePolicy>;
    [other: string]: unknown;
  }>(
    `select certificate, policy, server_name as "serverName", org_name as "orgName", token_not_after as "tokenNotAfter",
       synced_at as "syncedAt", next_at as "nextAt", problem, problem_at as "problemAt", profile_uuid as "profileUuid"
     from fleet.ade_server`,
  );
  const { certificate, policy, ...server } = rows[0]!;
  const devices = await db.query<AdeDeviceRow>(
    `select a.serial, d.handle as device, d.state, d.holder, a.model, a.profile_status as "profileStatus", a.wanted, a.answer,
       a.removed_at as "removedAt"
     from fleet.ade_device a join fleet.device d on d.id = a.device_id order by a.removed_at nulls first, a.serial limit $1`,
    [limit],
  );
  const counted = await db.query<{ total: number; assigned: number; held: number; expected: number }>(
    `select count(*)::int as total, count(*) filter (where a.profile_status in ('assigned', 'pushed'))::int as assigned,
       count(d.holder)::int as held, (select count(*)::int from fleet.expected_holder) as expected
     from fleet.ade_device a join fleet.device d on d.id = a.device_id where a.removed_at is null`,
  );
  return {
    ...server,
    certificate: certificate === null ? null : toPem('CERTIFICATE', parseCertificate(certificate).der),
    policy: readAdePolicy(policy),
    devices: devices.rows,
    ...counted.rows[0]!,
  };
}

/** What an admin wants of device assignment; core does it. */
export async function askAde(
  t: Queryable,
  by: string,
  act:
    | { readonly what: 'key' | 'sync' }
    | { readonly what: 'token'; readonly upload: Uint8Array }
    | { readonly what: 'policy'; readonly policy: AdePolicy }
    | { readonly what: 'assign' | 'remove'; readonly devices: readonly string[] },
): Promise<void> {
  const value = act.what === 'policy' ? act.policy : 'devices' in act ? act.devices : null;
  await t.query('select fleet.ade_ask($1, $2, $3, $4)', [
    act.what,
    value === null ? null : JSON.stringify(value),
    'upload' in act ? Buffer.from(act.upload) : null,
    by,
  ]);
}
