import { newToken, sha256, toBase64url } from '#base';
import type { Tx } from '#store';

/** A change waits up to 30 days for its device; the address that it names lives a little longer. */
const LINK_DAYS = 32;

/** What an address says of the package behind it: base64url SHA-256 over the hashes of its parts. */
export const fingerprintOf = (partHashes: Uint8Array): string => toBase64url(sha256(partHashes));

/**
 * A new address of a package below edge's origin: a token that nobody guesses, and the package's fingerprint. Two people agree to
 * the command that holds it, and so to these bytes; edge hands out no others under it.
 */
export async function linkPackage(
  t: Tx,
  input: { readonly package: string; readonly origin: string },
): Promise<string> {
  const token = newToken();
  const { rows } = await t.query<{ part_hashes: Buffer }>('select part_hashes from fleet.package where id = $1', [
    input.package,
  ]);
  await t.query(
    `insert into fleet.package_link (token_sha256, package_id, expires_at) values ($1, $2, now() + make_interval(days => $3))`,
    [sha256(token), input.package, LINK_DAYS],
  );
  return `${input.origin}/apps/${token}/${fingerprintOf(rows[0]!.part_hashes)}/manifest.plist`;
}
