import type { Logger } from '#base';
import type { Caps, GuardClient, PublicKeys } from '#seal';
import type { Pool } from '#store';

/** As intake has it. */
export interface NumberRules {
  readonly region?: string;
  readonly landlines: 'refuse' | 'accept';
  readonly unknown: 'refuse' | 'accept';
}

/** What glass works with: ciphertext from the database, answers from the guards. It holds no private key. */
export interface GlassDoors {
  /** As bartizan_glass. */
  readonly pool: Pool;
  readonly ledger: GuardClient;
  readonly sealer: GuardClient;
  /** The keeper of keys, where people bring shares. */
  readonly keeper?: GuardClient;
  readonly keys: PublicKeys;
  /** Glass's socket of intake: sealed people go there. */
  readonly intake: string;
  /** What counts as a mobile number in an import; the page applies it. */
  readonly numbers: NumberRules;
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
