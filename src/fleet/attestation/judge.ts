import { sha256 } from '#base';
import { emit } from '#log';
import { type Pool, type Queryable, tx } from '#store';
import {
  type Attestation,
  type Certificate,
  freshnessFor,
  parseAttestationObject,
  parseCsr,
  verifyAttestation,
  WireError,
} from '#wire';
import { keepAttestation, noteRefused, refuse, sameDevice } from './keep.ts';

/** Whose attestations are believed; without roots none is. */
export interface AttestationDoors {
  readonly roots: readonly Certificate[];
  readonly now: number;
}

interface Waiting {
  readonly id: string;
  readonly identity: 'acme' | 'acme-attested';
  readonly token: string;
  readonly att_obj: Buffer | null;
  readonly device_id: string;
  readonly handle: string;
  readonly expected_serial: string | null;
  readonly renewal: boolean;
  readonly serial: string | null;
  readonly udid: string | null;
  /** A holder's own device under user enrolment: Apple leaves its numbers out of everything. */
  readonly nameless: boolean;
}

/**
 * Judges what devices answered to their challenges, and looks at the certificate requests of finalized orders: what passes
 * is left to issuePending. Returns how many were decided. A crash before commit leaves them for the next run.
 */
export async function judgeAttestations(pool: Pool, doors: AttestationDoors): Promise<number> {
  const judged = await tx(pool, async (t) => {
    const { rows } = await t.query<Waiting>(
      `select o.id, coalesce(o.identity, e.identity) as identity, o.token, o.att_obj, d.id as device_id, d.handle,
         e.expected_serial, o.renewal, d.serial, d.udid,
         exists (select from fleet.account_device x where x.device_id = d.id and x.mode = 'BYOD') as nameless
       from fleet.acme_order o join fleet.enrolment e on e.id = o.enrolment_id join fleet.device d on d.id = e.device_id
       where o.state = 'judging' order by o.created_at limit 16 for update of o skip locked`,
    );
    for (const row of rows) await judge(t, row, doors);
    return rows.length;
  });
  return judged + (await releaseHeld(pool));
}

async function judge(t: Queryable, row: Waiting, doors: AttestationDoors): Promise<void> {
  try {
    const attestation = believe(row, doors);
    const id = attestation === undefined ? null : await keepAttestation(t, row, 'acme', attestation);
    await t.query(`update fleet.acme_order set state = 'ready', attestation_id = $2, att_obj = null where id = $1`, [
      row.id,
      id,
    ]);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    await t.query(`update fleet.acme_order set state = 'invalid', error = $2, att_obj = null where id = $1`, [
      row.id,
      { type: 'badAttestationStatement', detail: error.message },
    ]);
    await noteRefused(t, row.handle, error, 'acme');
  }
}

/** The attestation that was given, if it holds; undefined where none was given and none is asked for. */
function believe(row: Waiting, { roots, now }: AttestationDoors): Attestation | undefined {
  if (row.att_obj === null) {
    return row.identity === 'acme-attested' ? refuse('This enrolment asks for an attestation.') : undefined;
  }
  const chain = parseAttestationObject(row.att_obj);
  // Nothing is said of what cannot be verified; where it must be, verifyAttestation refuses.
  if (roots.length === 0 && row.identity === 'acme') return undefined;
  const attestation = verifyAttestation(chain, roots, now);
  if (attestation.freshness === undefined || !attestation.freshness.equals(freshnessFor(row.token))) {
    return refuse('The attestation does not answer this challenge.');
  }
  if (row.expected_serial !== null && attestation.facts.serial !== row.expected_serial) {
    return refuse('The attestation is of another device than the one that is expected.');
  }
  // Who renews is known. (At enrolment `Authenticate` tells the numbers, and migrations/0025_acme.sql compares.)
  if (row.renewal && !row.nameless) sameDevice(row, attestation.facts, row.identity === 'acme-attested');
  return attestation;
}

/** Compares the key of each held request with the attested one: core's own look, whatever edge said. */
async function releaseHeld(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{
      id: string;
      csr: Buffer;
      identity: string;
      spki_sha256: Buffer | null;
      handle: string;
    }>(
      `select r.id, r.csr, coalesce(o.identity, e.identity) as identity, a.spki_sha256, d.handle from fleet.certificate_request r
       join fleet.acme_order o on o.id = r.order_id join fleet.enrolment e on e.id = r.enrolment_id
       join fleet.device d on d.id = e.device_id left join fleet.attestation a on a.id = o.attestation_id
       where r.state = 'held' order by r.created_at limit 32 for update of r skip locked`,
    );
    for (const row of rows) {
      const reason = faultOf(row);
      if (reason === undefined) {
        await t.query(`update fleet.certificate_request set state = 'pending' where id = $1`, [row.id]);
        continue;
      }
      await t.query(
        `update fleet.certificate_request set state = 'refused', reason = $2, done_at = now() where id = $1`,
        [row.id, reason],
      );
      await emit(t, { kind: 'device.refused', actor: 'core', device: row.handle, detail: { reason } });
    }
    return rows.length;
  });
}

function faultOf(row: { csr: Buffer; identity: string; spki_sha256: Buffer | null }): string | undefined {
  try {
    const spki = sha256(parseCsr(row.csr).spki);
    if (row.spki_sha256 === null) return row.identity === 'acme-attested' ? 'not-attested' : undefined;
    return spki.equals(row.spki_sha256) ? undefined : 'csr-other-key';
  } catch (error) {
    if (error instanceof WireError) return `csr-${error.code}`;
    throw error;
  }
}
