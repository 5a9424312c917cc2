import { canonicalJson, type Json, Sealed, toBase64url } from '#base';
import { challengeOf, type Grant, hpkeOpen, type PublicKeys, parseGrant, type Receipt, verifyReceipt } from '#seal';
import type { Pool } from '#store';
import type { EdgeSecrets } from './secrets.ts';

/** How long after the guards opened a secret it may still be handed to its device, milliseconds. */
const RELEASE_LIFE_MS = 24 * 3_600_000;
const CLOCKS_APART_MS = 5 * 60_000;
const INFO = 'bartizan reveal v1';

export type ReleasedField = 'unlock-token' | 'bootstrap-token';

interface Box {
  readonly grant_document: unknown;
  readonly receipt: Receipt;
  readonly enc: Buffer | null;
  readonly ct: Buffer | null;
}

/** What edge needs to open what the guards sealed to it. */
export interface ReleaseDoors {
  readonly pool: Pool;
  readonly keys: PublicKeys;
  readonly secrets: EdgeSecrets;
}

/**
 * The secret that the guards released for a device, or undefined if none waits. Someone touched a passkey for exactly
 * this device and field, the ledger wrote its entry, and the sealer sealed to edge alone; all of that is checked here.
 * What does not hold is put aside with an event. `now` in milliseconds.
 */
export async function openRelease(
  doors: ReleaseDoors,
  device: string,
  field: ReleasedField,
  now: number,
): Promise<Sealed<string> | undefined> {
  const { rows } = await doors.pool.query<Box>('select * from edge.release($1, $2)', [device, field]);
  const box = rows[0];
  if (box === undefined || box.enc === null || box.ct === null) return undefined;
  const opened = open(doors, box, device, field, now);
  if (opened instanceof Sealed) return opened;
  await reportRelease(doors.pool, device, field, opened);
  return undefined;
}

/** Writes down that a secret was handed to its device (`opened`), or why its box was put aside. */
export async function reportRelease(pool: Pool, device: string, field: ReleasedField, what: string): Promise<void> {
  await pool.query('select edge.released($1, $2, $3)', [device, field, what]);
}

function open(
  doors: ReleaseDoors,
  box: Box,
  device: string,
  field: ReleasedField,
  now: number,
): Sealed<string> | string {
  const { keys, secrets } = doors;
  let grant: Grant;
  try {
    grant = parseGrant(box.grant_document);
  } catch {
    return 'grant-malformed';
  }
  const { receipt } = box;
  if (!verifyReceipt(keys.ledger, receipt)) return 'receipt-invalid';
  if (receipt.grant !== grant.id || receipt.grantSha256 !== toBase64url(challengeOf(grant)))
    return 'receipt-of-another';
  if (grant.field !== field || grant.subjects.join() !== device) return 'another-secret';
  if (grant.browserKey !== keys.release) return 'another-key';
  if (receipt.time < now - RELEASE_LIFE_MS || receipt.time > now + CLOCKS_APART_MS) return 'stale';
  try {
    const aad = Buffer.from(canonicalJson(receipt as unknown as Json));
    const plain = hpkeOpen(secrets.release, Buffer.concat([box.enc!, box.ct!]), { info: INFO, aad });
    const { values } = JSON.parse(plain.toString('utf8')) as { values: Record<string, string> };
    plain.fill(0);
    const value = values[device];
    return value === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(value) ? 'nothing-stored' : new Sealed(value);
  } catch {
    return 'does-not-open';
  }
}

/** Where a command's template leaves room for the unlock token. */
const ROOM = Buffer.from('<key>UnlockToken</key><data></data>');

/** The template with the token in its place; undefined if the template has not exactly one such place. */
export function fillUnlockToken(template: Buffer, token: Sealed<string>): Buffer | undefined {
  const at = template.indexOf(ROOM);
  if (at < 0 || template.indexOf(ROOM, at + 1) >= 0) return undefined;
  return token.use((text) =>
    Buffer.concat([
      template.subarray(0, at),
      Buffer.from(`<key>UnlockToken</key><data>${text}</data>`),
      template.subarray(at + ROOM.length),
    ]),
  );
}
