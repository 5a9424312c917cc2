import { fromBase64url } from '#base';
import { DEVICE_SECRETS, parseAssertion, parseGrant, type Receipt, shape } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';
import { openRows } from './reveal.ts';

const parse = shape.object({ grant: parseGrant, assertion: parseAssertion });

/**
 * Takes a touched grant for one device's secret to the sealer and hands the box that comes back on to edge, through the
 * database. The box is sealed to edge's release key: glass, core, the console and the database see ciphertext.
 * Throws GuardError with the guards' refusal.
 */
export async function release(doors: GlassDoors, body: unknown): Promise<object> {
  const { grant, assertion } = parse(body);
  const device = grant.subjects[0]!;
  if (!DEVICE_SECRETS.has(grant.field) || grant.subjects.length !== 1 || grant.browserKey !== doors.keys.release) {
    throw new GlassError('bad-request', 'A release names one device, one of its secrets, and the device plane.');
  }
  const rows = await openRows(doors, grant);
  if (rows.length === 0) {
    throw new GlassError('nothing-stored', 'This device has not sent that secret, or it has not been sealed yet.', {
      status: 409,
    });
  }
  const box = await doors.sealer.call<{ enc: string; ct: string; receipt: Receipt }>('reveal', {
    grant,
    assertion,
    rows,
  });
  const bytes = (text: string) => Buffer.from(fromBase64url(text));
  const { rows: put } = await doors.pool.query<{ put: boolean }>(
    'select fleet.put_release($1, $2, $3, $4, $5, $6, $7, $8) as put',
    [
      ...[grant.id, device, grant.field, JSON.stringify(grant), JSON.stringify(box.receipt), bytes(box.enc)],
      ...[bytes(box.ct), grant.admin],
    ],
  );
  if (put[0]?.put !== true) {
    throw new GlassError('unknown-device', 'This device is not enrolled any more.', { status: 409 });
  }
  return { receipt: box.receipt };
}
