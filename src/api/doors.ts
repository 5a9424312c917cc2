import type { Logger } from '#base';
import type { Caps, GuardClient, PublicKeys, Searched } from '#seal';
import type { Pool } from '#store';

/** What the console's server works with. It holds no private key and no name. */
export interface ApiDoors {
  /** As bartizan_console. */
  readonly pool: Pool;
  readonly ledger: GuardClient;
  readonly sealer: GuardClient;
  readonly keys: PublicKeys;
  readonly origins: { readonly console: string; readonly glass: string; readonly edge: string };
  readonly caps: Caps;
  readonly level: 'L0' | 'L1' | 'L2';
  /** With the ledger on another host: when our certificate for it ends, milliseconds. */
  readonly ledgerCertificate?: () => number;
  readonly demo: boolean;
  /** What can be searched on glass, and for how many hours at most it is opened; undefined if nothing can. */
  readonly search?: { readonly [field in Searched]?: { readonly hours: number } };
  /** Directory of the built pages. */
  readonly pages: string;
  readonly now: () => number;
  /** Whether a header bears the token that is there for thieves only. */
  readonly isBait?: (authorization: string | undefined) => boolean;
  readonly log: Logger;
}
