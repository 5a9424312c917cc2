import { type Clock, fromBase64url, sha256, toBase64url } from '#base';
import {
  type Approvable,
  type Assertion,
  type Caps,
  type CommandSet,
  challengeOf,
  DESTROYING,
  DEVICE_SECRETS,
  type Declare,
  type EnrolKey,
  type Grant,
  GuardError,
  type Invite,
  MOST_PERMIT_MS,
  passkeyPublic,
  type RosterKey,
  type Signable,
  type Unlock,
  verifyAssertion,
} from '#seal';
import { type Effect, GuardState } from './state.ts';
import { DAY, HOUR, MINUTE, SteadyTime } from './time.ts';

const GRANT_LIFE = 10 * MINUTE;
const APPROVAL_LIFE = 24 * HOUR;
/** How long a key must have been pinned before its signature approves somebody else's request. */
const SEASONED = 72 * HOUR;
const INVITE_LIFE = DAY;

export const REFUSED = 'The guards refused this request.';
const hashOf = (document: Signable) => toBase64url(challengeOf(document));

/**
 * The rules that both guards apply, each with its own memory and its own pinned keys. Every method decides
 * synchronously and returns the effects; the guard applies them before it awaits anything.
 */
export class Gate {
  readonly state = new GuardState();
  readonly time: SteadyTime;
  readonly caps: Caps;
  readonly #origin: string;
  readonly #releaseKey: string | undefined;

  /**
   * `origin` is glass's origin, for instance `https://glass.example.org`; `releaseKey` is edge's, without which no
   * device's secret is released.
   */
  constructor(options: {
    readonly origin: string;
    readonly caps: Caps;
    readonly clock: Clock;
    readonly releaseKey?: string;
  }) {
    this.#origin = options.origin;
    this.#releaseKey = options.releaseKey;
    this.caps = options.caps;
    this.time = new SteadyTime(options.clock);
  }

  /**
   * One touch, one request: may this grant be served? `admin` of a refusal is set once the touch has proved who asks.
   * Throws Refusal.
   */
  reveal(grant: Grant, assertion: Assertion): readonly Effect[] {
    const now = this.time.now();
    if (this.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
    const key = this.#signer(grant, assertion);
    const refuse = (code: string, message: string) => new Refusal(code, message, key.admin);
    if (key.admin !== grant.admin) throw refuse('refused', REFUSED);
    if (key.role === 'dpo') throw refuse('refused', 'This role does not read the directory.');
    this.#mustBeOpen(key.admin);
    this.#fresh(grant, GRANT_LIFE, now, key.admin);
    if (DEVICE_SECRETS.has(grant.field) && grant.browserKey !== this.#releaseKey) {
      throw refuse('refused', 'A device’s secret is released to its device only, never shown.');
    }
    if (this.state.used.has(grant.id)) throw refuse('used', 'This grant was used before. Touch the passkey again.');
    const charge = { admin: key.admin, field: grant.field, count: grant.subjects.length, at: now };
    const cap = this.state.meters.refusal(charge, this.caps);
    if (cap !== undefined) throw new Refusal('cap', 'A reading limit is reached.', key.admin, cap);
    return [
      { e: 'used', id: grant.id, notAfter: grant.notAfter, sha256: hashOf(grant) },
      { e: 'charge', ...charge },
    ];
  }

  /** True if this very document was accepted before. */
  seen(document: Approvable): boolean {
    return this.state.used.get(document.id)?.sha256 === hashOf(document);
  }

  /**
   * Two people: every signature must be valid and by an administrator who is not locked; at least two different
   * people, or as many as `people` says; whoever is not the requester must have a founding key or one pinned 72 h ago.
   * Throws Refusal.
   */
  approve(
    document: Approvable,
    assertions: readonly Assertion[],
    people = 2,
  ): { signers: readonly string[]; effects: Effect[] } {
    const now = this.time.now();
    this.#fresh(document, APPROVAL_LIFE, now);
    const signers = new Set<string>();
    for (const assertion of assertions) {
      const key = this.#signer(document, assertion);
      this.#mustBeOpen(key.admin);
      if (key.role !== 'administrator') throw new Refusal('refused', 'This role does not approve.', key.admin);
      if (key.admin !== document.requester && !key.founding && now - key.since < SEASONED) {
        throw new Refusal('too-new', 'A passkey approves only 72 hours after it was registered.', key.admin);
      }
      signers.add(key.admin);
    }
    if (signers.size < people) throw new Refusal('two-people', 'This needs two different people.');
    if (this.state.used.has(document.id)) throw new Refusal('used', 'This approval was used before.');
    return {
      signers: [...signers].sort(),
      effects: [{ e: 'used', id: document.id, notAfter: document.notAfter, sha256: hashOf(document) }],
    };
  }

  /** An approved command set within the destructive caps, which count what takes data (`DESTROYING`). Throws Refusal. */
  command(document: CommandSet, assertions: readonly Assertion[]): { signers: readonly string[]; effects: Effect[] } {
    if (this.state.locked('commands')) throw new Refusal('locked', 'Destructive commands are locked.');
    const approved = this.approve(document, assertions);
    if (!DESTROYING.has(document.verb)) return approved;
    const at = this.time.now();
    const count = document.commands.length;
    const cap = this.state.meters.destroyRefusal(count, at, this.caps);
    if (cap !== undefined) throw new Refusal('cap', 'The limit of erased devices is reached.', undefined, cap);
    approved.effects.push({ e: 'destroy', count, at });
    return approved;
  }

  /** Approved declarations: as a command set, and their end must be ahead, but not further than a permit lasts. Throws Refusal. */
  declare(document: Declare, assertions: readonly Assertion[]): { signers: readonly string[]; effects: Effect[] } {
    if (this.state.locked('commands')) throw new Refusal('locked', 'Commands and declarations are locked.');
    const now = this.time.now();
    if (document.until <= now || document.until > now + MOST_PERMIT_MS) {
      throw new Refusal('refused', 'The end of this permit is past, or too far ahead.');
    }
    return this.approve(document, assertions);
  }

  /** What an approved unlock or invitation does. Repeating one that is already in effect does nothing. Throws Refusal. */
  decide(document: Unlock | Invite, assertions: readonly Assertion[]) {
    const inEffect =
      document.op === 'unlock'
        ? !this.state.locked(document.scope, document.target)
        : this.state.tokens.has(document.tokenSha256);
    if (inEffect && this.seen(document)) return { signers: [], effects: [] as Effect[], repeated: true };
    const { signers, effects } = this.approve(document, assertions);
    if (document.op === 'unlock') {
      effects.push({ e: 'unlock', scope: document.scope, target: document.target });
    } else {
      if (this.state.tokens.has(document.tokenSha256)) throw new Refusal('used', 'This token was used before.');
      const { admin, role, tokenSha256 } = document;
      effects.push({ e: 'invite', admin, role, tokenSha256, until: this.time.now() + INVITE_LIFE });
    }
    return { signers, effects, repeated: false };
  }

  /** A new passkey: authorised by its one-time token, signed by itself. Throws Refusal. */
  enrol(document: EnrolKey, assertion: Assertion): { key: RosterKey; effects: readonly Effect[] } {
    const now = this.time.now();
    this.#fresh(document, GRANT_LIFE, now);
    const tokenSha256 = toBase64url(sha256(fromBase64url(document.token)));
    const token = this.state.tokens.get(tokenSha256);
    if (token === undefined) throw new Refusal('refused', 'This link is not valid.');
    const { admin, role, founding, until } = token;
    if (assertion.credential !== document.credential) throw new Refusal('refused', REFUSED);
    try {
      passkeyPublic(fromBase64url(document.publicKey));
      verifyAssertion({ assertion, document, publicKey: document.publicKey, origin: this.#origin });
    } catch {
      throw new Refusal('refused', 'The new passkey did not prove itself.');
    }
    const present = this.state.keys.get(document.credential);
    if (token.usedBy !== undefined) {
      if (token.usedBy === document.credential && present?.publicKey === document.publicKey) {
        return { key: present, effects: [] };
      }
      throw new Refusal('used', 'This link was used before.');
    }
    if (until !== undefined && until < now) throw new Refusal('expired', 'This link has expired.');
    if (present !== undefined) throw new Refusal('refused', 'This passkey is registered already.');
    this.#mustBeOpen(admin);
    const { credential, publicKey } = document;
    const key: RosterKey = { admin, role, credential, publicKey, since: now, founding };
    return { key, effects: [{ e: 'key', key, tokenSha256 }] };
  }

  #signer(document: Signable, assertion: Assertion): RosterKey {
    const key = this.state.keys.get(assertion.credential);
    if (key === undefined) throw new Refusal('refused', REFUSED);
    try {
      verifyAssertion({ assertion, document, publicKey: key.publicKey, origin: this.#origin });
    } catch {
      throw new Refusal('refused', REFUSED);
    }
    return key;
  }

  #mustBeOpen(admin: string): void {
    if (this.state.locked('admin', admin)) throw new Refusal('locked', 'This admin is locked.', admin);
  }

  #fresh(
    document: { readonly id?: string; readonly notAfter: number },
    life: number,
    now: number,
    admin?: string,
  ): void {
    if (document.notAfter <= now) throw new Refusal('expired', 'This request has expired. Start again.', admin);
    if (this.state.recovery.older(document, life)) {
      throw new Refusal(
        'restored',
        'This was signed before the restore, or too soon after it. Sign anew in a few minutes.',
        admin,
      );
    }
    if (document.notAfter > now + life) throw new Refusal('refused', 'This request is valid for too long.', admin);
  }
}

/** A guard said no. `admin` is who proved to have asked, if anybody did; `cap` which limit it was. */
export class Refusal extends GuardError {
  readonly admin: string | undefined;
  readonly cap: string | undefined;

  constructor(code: string, message: string, admin?: string, cap?: string) {
    super(code, message);
    this.admin = admin;
    this.cap = cap;
  }
}
