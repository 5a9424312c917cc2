import { sha256, uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable } from '#store';
import { type Attestation, type AttestedFacts, WireError } from '#wire';

export const refuse = (why: string): never => {
  throw new WireError('attestation', why);
};

/** What a device is known by; null where it never said. */
export interface KnownAs {
  readonly serial: string | null;
  readonly udid: string | null;
}

/**
 * The attested numbers must be the device's own, where the device is known already. `strict`: they must be there. A Mac's attested
 * identifier is not the one that it enrols with. Throws WireError `attestation` or `another-device`.
 */
export function sameDevice({ serial, udid }: KnownAs, facts: AttestedFacts, strict: boolean): void {
  if (strict && facts.serial === undefined && facts.udid === undefined)
    refuse('The attestation does not say which device it is of.');
  const otherSerial = facts.serial !== undefined && serial !== null && facts.serial !== serial;
  const otherUdid = facts.udid !== undefined && facts.sipStatus === undefined && facts.udid !== udid;
  if (otherSerial || otherUdid)
    throw new WireError('another-device', 'The attestation is of another device than the one that gave it.');
}

/** Writes down that an attestation was not believed. */
export async function noteRefused(t: Queryable, device: string, error: WireError, via: string): Promise<void> {
  const detail = { reason: error.message, via };
  await emit(t, { kind: 'device.attestation_refused', actor: 'core', device, detail });
  if (error.code === 'another-device')
    await emit(t, { kind: 'device.attestation_mismatch', actor: 'core', device, detail: { via } });
}

/** Stores an attestation; one key by ACME and one freshness code serve once. Throws WireError `attestation` for a repetition. */
export async function keepAttestation(
  t: Queryable,
  device: { readonly device_id: string | number; readonly handle: string },
  via: 'acme' | 'device-information',
  attestation: Attestation,
  at?: Date,
): Promise<string> {
  const id = uuidv7();
  const { facts, freshness, spki, leaf, root, chain } = attestation;
  const { serial, udid, ...rest } = facts;
  const { rows } = await t.query(
    `insert into fleet.attestation (id, device_id, via, serial, udid, facts, freshness, spki_sha256, leaf_sha256, root_sha256,
       root_name, chain, attested_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, now()))
     on conflict do nothing returning id`,
    [
      ...[
        id,
        device.device_id,
        via,
        serial ?? null,
        udid ?? null,
        rest,
        freshness,
        sha256(spki),
        leaf.sha256,
        root.sha256,
      ],
      ...[(root.commonName ?? 'root without a name').slice(0, 128), chain.map((one) => Buffer.from(one)), at ?? null],
    ],
  );
  if (rows.length === 0) return refuse('The attestation, or its key, was used before.');
  const detail = { attestation: id, via };
  await emit(t, { kind: 'device.attested', actor: 'core', device: device.handle, detail });
  return id;
}
