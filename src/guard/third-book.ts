import type { PinnedLockKey, ThirdBox } from '#seal';

/** What the ledger remembers of third locks: who can open boxes, and the boxes. */
export type ThirdChange =
  | ({ readonly what: 'key' } & PinnedLockKey)
  | {
      readonly what: 'made';
      readonly key: string;
      readonly admin: string;
      readonly at: number;
      readonly boxes: readonly ThirdBox[];
      readonly recovery?: string;
    }
  | { readonly what: 'shared'; readonly key: string; readonly boxes: readonly ThirdBox[] };

/** A third lock that was made; it counts once two people have put it in force with a key of the organisation's. */
export interface MadeLock {
  readonly key: string;
  readonly admin: string;
  readonly at: number;
  readonly boxes: Map<string, string>;
  readonly recovery: string | undefined;
}

/** Only `apply` changes it. */
export class ThirdBook {
  /** By credential. A passkey's PRF never changes, so a pinned key stays. */
  readonly keys = new Map<string, PinnedLockKey>();
  /** All that were made, by key: whatever two people were asked to sign can still be put in force when they have signed it. */
  readonly made = new Map<string, MadeLock>();
  /** The last of them. */
  last: MadeLock | undefined;

  apply(change: ThirdChange): void {
    switch (change.what) {
      case 'key': {
        const { admin, credential, key } = change;
        this.keys.set(credential, { admin, credential, key });
        break;
      }
      case 'made': {
        const { key, admin, at, recovery } = change;
        this.last = { key, admin, at, recovery, boxes: new Map(change.boxes.map((one) => [one.credential, one.box])) };
        this.made.set(key, this.last);
        break;
      }
      case 'shared':
        for (const { credential, box } of change.boxes) this.made.get(change.key)?.boxes.set(credential, box);
        break;
      default:
        change satisfies never;
    }
  }
}
