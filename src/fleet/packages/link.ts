import { newToken, sha256 } from '#base';
import type { Tx } from '#store';

/** A change waits up to 30 days for its device; the address that it names lives a little longer. */
const LINK_DAYS = 32;

/** A new address of a package below edge's origin: unguessable, known to nobody but the devices it is sent to. */
export async function linkPackage(
  t: Tx,
  input: { readonly package: string; readonly origin: string },
): Promise<string> {
  const token = newToken();
  await t.query(
    `insert into fleet.package_link (token_sha256, package_id, expires_at) values ($1, $2, now() + make_interval(days => $3))`,
    [sha256(token), input.package, LINK_DAYS],
  );
  return `${input.origin}/apps/${token}/manifest.plist`;
}
