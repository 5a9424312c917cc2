import {
  type Assertion,
  BREAK_GLASS_BUDGET,
  BREAK_GLASS_MS,
  type Caps,
  type EnrolKey,
  QUORUM_CAPS,
  type QuorumCap,
  type QuorumCaps,
  RAISE_DELAY_MS,
  type Refound,
  type RosterChange,
  type RosterKey,
} from '#seal';

/** A sealed key or a custodian's: no right by itself. */
export interface SealedKey {
  readonly name: string;
  readonly credential: string;
  readonly publicKey: string;
  readonly since: number;
}

/** A limit on its way up; `at` and `lived` are this guard's. */
export interface Waiting {
  readonly to: number;
  readonly at: number;
  readonly lived: number;
}

export interface Opening {
  readonly id: string;
  readonly credentials: readonly string[];
  readonly until: number;
  readonly lived: number;
}

/** What changed the roster at the ledger, with its signatures: the sealer judges each anew by its own roster. */
export type Decree =
  | { readonly document: RosterChange; readonly assertions: readonly Assertion[]; readonly time: number }
  | { readonly document: EnrolKey; readonly assertions: readonly Assertion[]; readonly time: number }
  | { readonly document: Refound; readonly signature: string; readonly time: number };

/** Effects on the roster; every one is journalled, and a guard's roster is the fold of them. */
export type RosterEffect =
  | { readonly e: 'version'; readonly version: number }
  | { readonly e: 'threshold'; readonly threshold: number }
  | {
      readonly e: 'caps';
      readonly set: QuorumCaps;
      readonly raises: { readonly [cap in QuorumCap]?: Waiting };
    }
  | { readonly e: 'calm' }
  | { readonly e: 'seal'; readonly tokens: readonly { readonly name: string; readonly tokenSha256: string }[] }
  | { readonly e: 'sealed-key'; readonly key: SealedKey; readonly tokenSha256: string }
  | ({ readonly e: 'open' } & Opening)
  | { readonly e: 'drill'; readonly at: number }
  | { readonly e: 'reviewed' }
  | { readonly e: 'seen'; readonly credential: string; readonly at: number }
  | { readonly e: 'lived'; readonly lived: number }
  | { readonly e: 'recovery'; readonly key: string }
  | { readonly e: 'decree'; readonly decree: Decree }
  | { readonly e: 'taken'; readonly n: number };

/** A guard's memory of its roster, but for keys and tokens, which `GuardState` holds. Only `apply` changes it. */
export class RosterState {
  version = 0;
  threshold = 2;
  /** Limits that a quorum set; the configuration's before that. */
  set: QuorumCaps | undefined;
  raises: { readonly [cap in QuorumCap]?: Waiting } = {};
  /** By SHA-256 of the token in their one-time links. */
  readonly sealTokens = new Map<string, string>();
  /** By credential. */
  readonly sealed = new Map<string, SealedKey>();
  sealedTokensUsed = new Map<string, string>();
  opening: Opening | undefined;
  left = 0;
  reviewed = true;
  drilledAt: number | undefined;
  registered = false;
  readonly seen = new Map<string, number>();
  lived = 0;
  recovery: string | undefined;
  readonly decrees: Decree[] = [];
  taken = 0;

  apply(effect: RosterEffect): void {
    switch (effect.e) {
      case 'version':
        this.version = effect.version;
        break;
      case 'threshold':
        this.threshold = effect.threshold;
        break;
      case 'caps':
        this.set = effect.set;
        this.raises = effect.raises;
        break;
      case 'calm':
        this.raises = {};
        break;
      case 'seal':
        this.sealTokens.clear();
        this.sealed.clear();
        this.sealedTokensUsed.clear();
        this.registered = effect.tokens.length > 0;
        // An opening that nobody reviewed stays to be reviewed.
        if (this.reviewed) this.opening = undefined;
        else if (this.opening !== undefined) this.opening = { ...this.opening, credentials: [], until: 0 };
        for (const { name, tokenSha256 } of effect.tokens) this.sealTokens.set(tokenSha256, name);
        break;
      case 'sealed-key':
        this.sealedTokensUsed.set(effect.tokenSha256, effect.key.credential);
        this.sealed.set(effect.key.credential, effect.key);
        break;
      case 'open': {
        const { id, credentials, until, lived } = effect;
        this.opening = { id, credentials, until, lived };
        this.left = BREAK_GLASS_BUDGET;
        this.reviewed = false;
        this.registered = false;
        break;
      }
      case 'drill':
        this.drilledAt = effect.at;
        break;
      case 'reviewed':
        this.reviewed = true;
        break;
      case 'seen':
        this.seen.set(effect.credential, effect.at);
        break;
      case 'lived':
        this.lived = Math.max(this.lived, effect.lived);
        break;
      case 'recovery':
        this.recovery = effect.key;
        break;
      case 'decree':
        this.decrees.push(effect.decree);
        break;
      case 'taken':
        this.taken = effect.n;
        break;
      default:
        effect satisfies never;
    }
  }

  /** A sealed key that two custodians opened less than an hour ago. */
  opened(credential: string, now: number, lived: number): SealedKey | undefined {
    const { opening } = this;
    if (opening === undefined || !opening.credentials.includes(credential)) return undefined;
    return now < opening.until && lived < opening.lived + BREAK_GLASS_MS ? this.sealed.get(credential) : undefined;
  }
}

/** An opened sealed key, as the rules see it. */
export const sealedAs = ({ name, credential, publicKey, since }: SealedKey): RosterKey => ({
  ...{ admin: name, role: 'administrator', credential, publicKey, since, founding: true },
});

/** Whether a raised limit counts: a day by the clock and a day of running. */
export const isDue = (one: Waiting, now: number, lived: number): boolean =>
  now >= one.at + RAISE_DELAY_MS && lived >= one.lived + RAISE_DELAY_MS;

/** The limits in force. */
export function capsOf(state: RosterState, base: Caps, now: number, lived: number): Caps {
  const caps = { ...base, ...state.set };
  for (const cap of QUORUM_CAPS) {
    const waiting = state.raises[cap];
    if (waiting !== undefined && isDue(waiting, now, lived)) caps[cap] = waiting.to;
  }
  return caps;
}
