import type { Logger } from '#base';
import type { Caps, GuardClient, PublicKeys } from '#seal';
import type { Pool } from '#store';

/** What glass works with: ciphertext from the database, answers from the guards. It holds no private key. */
export interface GlassDoors {
  /** As bartizan_glass. */
  readonly pool: Pool;
  readonly ledger: GuardClient;
  readonly sealer: GuardClient;
  readonly keys: PublicKeys;
  /** `edge`: where devices find the device plane; addresses there are shown with what stands behind them. */
  readonly origins: { readonly console: string; readonly glass: string; readonly edge: string };
  readonly caps: Caps;
  /** Whether anything can be searched here. */
  readonly search: boolean;
  /** Directory of the built pages. */
  readonly pages: string;
  readonly now: () => number;
  readonly log: Logger;
}
