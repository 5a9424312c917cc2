import { randomBytes } from 'node:crypto';
import { Sealed } from '#base';
import type { Pool } from '#store';
import { buildCommand, isDict, type Plist, parsePlist } from '#wire';
import type { EdgeSecrets } from '../secrets.ts';
import { Box } from './box.ts';

// A device that was enrolled by account renews with a profile that names the account, which is kept nowhere here. The device
// carries it for us, in a box in its ServerURL: two keys open it, edge's own secret and one of the device's, which the database
// gives out only while this device's certificate is renewed. Whoever owns edge reads the accounts that are renewed while he is
// there; whoever owns the database has no box, whoever sees addresses has no key.

interface Doors {
  readonly pool: Pool;
  readonly secrets: EdgeSecrets;
}

const KIND = 'renewal';
/** The length of a name is no fact to be told. */
const PADDED = 320;
const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** An account, and the box that it came in. */
export interface CarriedAccount {
  readonly name: Sealed<string>;
  readonly box: string;
}

/** Boxes an account for the profile of a new enrolment. */
export async function boxAccount(
  { pool, secrets }: Doors,
  enrolment: string,
  { managedAppleId, mode }: { readonly managedAppleId: string; readonly mode: 'BYOD' | 'ADDE' },
): Promise<string> {
  const key = randomBytes(32);
  await pool.query('select edge.keep_account_key($1, $2, $3)', [enrolment, key, mode]);
  return new Box(secrets.channels, key).seal(KIND, { account: managedAppleId.padEnd(PADDED) }, FOR_EVER);
}

/** The account in a device's box, for the delivery of one command of its renewal; undefined if it does not open. */
export async function openAccount(
  { pool, secrets }: Doors,
  device: string,
  command: string,
  box: string | null,
): Promise<CarriedAccount | undefined> {
  if (box === null) return undefined;
  const { rows } = await pool.query<{ key: Buffer | null }>('select edge.account_key($1, $2) as key', [
    device,
    command,
  ]);
  const key = rows[0]?.key ?? null;
  if (key === null) return undefined;
  const opened = new Box(secrets.channels, key).open<{ account: string }>(KIND, box, 0);
  return opened === undefined ? undefined : { name: new Sealed(opened.account.trimEnd()), box };
}

const ROOM = '<key>AssignedManagedAppleID</key><string></string>';

/** Whether a command is a profile that leaves room for an account. */
export const needsAccount = (body: Buffer, requestType: string): boolean =>
  requestType === 'InstallProfile' && payloadOf(body)?.includes(ROOM) === true;

function payloadOf(body: Buffer): Buffer | undefined {
  const root: Plist = parsePlist(body);
  const command = isDict(root) ? root.get('Command') : undefined;
  const payload = isDict(command) ? command.get('Payload') : undefined;
  return payload instanceof Uint8Array ? Buffer.from(payload) : undefined;
}

/**
 * The command with the account, and the box in the address that the device knows, in their places; undefined if the
 * template has not exactly one of each.
 */
export function fillAccount(
  template: Buffer,
  uuid: string,
  origin: string,
  { name, box }: CarriedAccount,
): Buffer | undefined {
  const parts = payloadOf(template)?.toString('utf8').split(ROOM);
  if (parts?.length !== 2) return undefined;
  const filled = name.use((text) => parts.join(`<key>AssignedManagedAppleID</key><string>${text}</string>`));
  const around = filled.split(`<key>ServerURL</key><string>${origin}/mdm</string>`);
  if (around.length !== 2) return undefined;
  const payload = Buffer.from(around.join(`<key>ServerURL</key><string>${origin}/mdm?account=${box}</string>`));
  return buildCommand(uuid, { verb: 'InstallProfile', payload });
}
