import type { Logger } from '#base';
import type { NumberPolicy } from '#people';
import type { GuardClient, Pen, PublicKeys } from '#seal';
import type { Pool } from '#store';
import type { IntakeSecrets } from './secrets.ts';

/** What intake works with: public keys, tags, and a database role that reads no value. */
export interface IntakeDoors {
  /** As bartizan_intake. */
  readonly pool: Pool;
  /** Intake's own socket of the ledger: decoys. */
  readonly ledger: GuardClient;
  readonly keys: PublicKeys;
  /** What intake signs each value with. */
  readonly pen: Pen;
  readonly secrets: IntakeSecrets;
  readonly numbers: NumberPolicy;
  /** Where providers reach SCIM, without a slash at the end: stands in `meta.location`. */
  readonly scimUrl: string;
  readonly now: () => number;
  /** A whole number from 0, below this one, that nobody can foresee. */
  readonly random: (below: number) => number;
  /** Whether a header bears the token that is there for thieves only. */
  readonly isBait?: (authorization: string | undefined) => boolean;
  readonly log: Logger;
}
