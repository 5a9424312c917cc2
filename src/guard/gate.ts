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
  type ImportPeople,
  type Invite,
  MOST_PERMIT_MS,
  passkeyPublic,
  type RosterKey,
  type Signable,
  type Unlock,
  verifyAssertion,
} from '#seal';
import { isOlder } from './recovery.ts';
import { capsOf, sealedAs } from './roster-state.ts';
import { isSeasoned, lockOn, standing } from './standing.ts';
import { type Effect, GuardState } from './state.ts';
import { DAY, dayOf, HOUR, MINUTE, SteadyTime } from './time.ts';

export const GRANT_LIFE = 10 * MINUTE;
const APPROVAL_LIFE = 24 * HOUR;
export const INVITE_LIFE = DAY;

export const REFUSED = 'The guards refused this request.';
export const hashOf = (document: Signable) => toBase64url(challengeOf(document));
/** Names that sealed keys and custodians have, and nobody else. */
export const RESERVED = /^(break-glass|custodian)-/;

/**
 * The rules that both guards apply, each with its own memory and its own pinned keys. Every method decides
 * synchronously and returns the effects; the guard applies them before it awaits anything.
 */
export class Gate {
  readonly state = new GuardState();
  readonly time: SteadyTime;
  readonly origin: string;
  readonly org: string;
  readonly #caps: Caps;
  readonly #releaseKey: string | undefined;

  /**
   * `origin` is glass's origin, for instance `https://glass.example.org`; `releaseKey` is edge's, without which no
   * device's secret is released.
   */
  constructor(options: {
    readonly origin: string;
    readonly caps: Caps;
    readonly clock: Clock;
    /** A clock that nobody can set, milliseconds; the process's own if it is left out. */
    readonly elapsed?: () => number;
    readonly releaseKey?: string;
    readonly org?: string;
  }) {
    this.origin = options.origin;
    this.org = options.org ?? '';
    this.#releaseKey = options.releaseKey;
    this.#caps = options.caps;
    this.time = new SteadyTime(options.clock, options.elapsed);
  }

  /** The limits in force: the configuration's, or what a quorum set since. */
  get caps(): Caps {
    return capsOf(this.state.roster, this.#caps, this.time.now(), this.time.lived());
  }

  /** Takes up remembered effects, and the running time that they tell of. */
  replay(effects: readonly Effect[]): void {
    this.state.apply(effects);
    this.time.resume(this.state.roster.lived);
  }

  /**
   * One touch, one request: may this grant be served? Above the organisation's limit of a day other administrators sign the
   * same grant (`others`). `admin` of a refusal is set once the touch has proved who asks. Throws Refusal.
   */
  reveal(grant: Grant, assertion: Assertion, others: readonly Assertion[] = []): readonly Effect[] {
    const now = this.time.now();
    if (this.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
    const key = this.signer(grant, assertion);
    const refuse = (code: string, message: string, cap?: string) => new Refusal(code, message, key.admin, cap);
    if (key.admin !== grant.admin) throw refuse('refused', REFUSED);
    if (key.role === 'dpo') throw refuse('refused', 'This role does not read the directory.');
    this.mustBeOpen(key, grant.id);
    this.fresh(grant, GRANT_LIFE, now, key.admin);
    if (DEVICE_SECRETS.has(grant.field) && grant.browserKey !== this.#releaseKey) {
      throw refuse('refused', 'A device’s secret is released to its device only, never shown.');
    }
    if (this.state.used.has(grant.id)) throw refuse('used', 'This grant was used before. Touch the passkey again.');
    const [at, lived] = [this.time.metered(), this.time.lived()];
    const charge = { admin: key.admin, field: grant.field, count: grant.subjects.length, at, lived };
    const sealed = this.state.roster.sealed.has(key.credential);
    const caps = this.caps;
    const cap = this.state.meters.refusal(charge, caps);
    if (cap !== undefined) throw refuse('cap', 'A reading limit is reached.', cap);
    if (sealed && charge.count > this.state.roster.left) {
      throw refuse('cap', 'The budget of the sealed keys is spent.', 'breakGlass');
    }
    const needs = sealed ? 1 : this.state.meters.signers(charge, caps);
    const signers = new Set([key.admin]);
    for (const other of others) signers.add(this.#administrator(grant, other).admin);
    if (signers.size < needs) {
      const who = needs === 2 ? 'another person signs' : 'two other people sign';
      throw refuse(
        'second-person',
        `The organisation’s limit of this day is reached. Beyond it ${who} too.`,
        'orgPerDay',
      );
    }
    return [
      { e: 'used', id: grant.id, notAfter: grant.notAfter, sha256: hashOf(grant) },
      { e: 'charge', ...charge },
      ...this.touched([assertion, ...others]),
    ];
  }

  /** One administrator's touch over people who are sent sealed; it charges nothing and counts once. Throws Refusal. */
  takeIn(document: ImportPeople, assertion: Assertion): readonly Effect[] {
    const now = this.time.now();
    if (this.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
    const key = this.signer(document, assertion);
    if (key.admin !== document.admin || key.role !== 'administrator') throw new Refusal('refused', REFUSED, key.admin);
    this.mustBeOpen(key, document.id);
    this.fresh(document, GRANT_LIFE, now, key.admin);
    if (this.state.used.has(document.id)) throw new Refusal('used', 'This touch was used before.', key.admin);
    return [
      { e: 'used', id: document.id, notAfter: document.notAfter, sha256: hashOf(document) },
      ...this.touched([assertion]),
    ];
  }

  /** True if this very document was accepted before. */
  seen(document: Signable & { readonly id: string }): boolean {
    return this.state.used.get(document.id)?.sha256 === hashOf(document);
  }

  /**
   * Two people: every signature must be valid and by an administrator who is not locked; at least two different people, or
   * as many as `people` says; whoever is not the requester must have a founding key or one pinned 72 h ago. What changes the
   * roster takes as many as the roster says, all with such keys. `at`: when the other guard took it; `again`: one that is used
   * part by part. Throws Refusal.
   */
  approve(
    document: Approvable,
    assertions: readonly Assertion[],
    options: { readonly people?: number; readonly at?: number | undefined; readonly again?: boolean } = {},
  ): { signers: readonly string[]; effects: Effect[] } {
    const now = options.at ?? this.time.now();
    this.fresh(document, APPROVAL_LIFE, now);
    const roster = document.op === 'invite' || document.op === 'roster';
    const takes = roster ? this.state.roster.threshold : (options.people ?? 2);
    const keys = assertions.map((assertion) => this.signer(document, assertion));
    const stuck = document.op === 'unlock' && this.#isWayBack(keys);
    const signers = new Set<string>();
    for (const key of keys) {
      if (!stuck) this.mustBeOpen(key, document.id);
      if (key.role !== 'administrator') throw new Refusal('refused', 'This role does not approve.', key.admin);
      const own = key.admin === document.requester && !roster;
      if (!own && !isSeasoned(this.state, key, this.time.now(), this.time.lived())) {
        throw new Refusal('too-new', 'A passkey approves only 72 hours after it was registered.', key.admin);
      }
      signers.add(key.admin);
    }
    if (signers.size < takes) {
      const people = takes === 2 ? 'two different people' : `${takes} different people`;
      throw new Refusal('two-people', `This needs ${people}.`);
    }
    // The guard that follows may have heard from the other that the document is used; the roster's version keeps it single.
    if (options.at === undefined && this.state.used.has(document.id) && !options.again) {
      throw new Refusal('used', 'This approval was used before.');
    }
    return {
      signers: [...signers].sort(),
      effects: [
        { e: 'used', id: document.id, notAfter: document.notAfter, sha256: hashOf(document) },
        ...this.touched(assertions),
      ],
    };
  }

  /**
   * Anybody may lock anybody, so locks alone could leave nobody to lift them. While fewer than two can sign, locked ones may
   * lift locks too, but one more of them than a change of the roster takes. The roster never shrinks to fewer (`locksOut`).
   */
  #isWayBack(keys: readonly RosterKey[]): boolean {
    const [now, lived] = [this.time.now(), this.time.lived()];
    const { able, all } = standing(this.state, now, lived);
    if (able.size >= 2) return false;
    const signed = new Set(keys.filter((key) => all.has(key.admin)).map((key) => key.admin));
    return signed.size >= Math.max(2, Math.min(this.state.roster.threshold + 1, all.size));
  }

  /** An administrator who can sign for others. */
  #administrator(document: Signable, assertion: Assertion): RosterKey {
    const key = this.signer(document, assertion);
    this.mustBeOpen(key);
    if (key.role !== 'administrator') throw new Refusal('refused', 'This role does not approve.', key.admin);
    if (!isSeasoned(this.state, key, this.time.now(), this.time.lived())) {
      throw new Refusal('too-new', 'A passkey approves only 72 hours after it was registered.', key.admin);
    }
    return key;
  }

  /** An approved command set within the destructive caps, which count what takes data (`DESTROYING`). Throws Refusal. */
  command(document: CommandSet, assertions: readonly Assertion[]): { signers: readonly string[]; effects: Effect[] } {
    if (this.state.locked('commands')) throw new Refusal('locked', 'Destructive commands are locked.');
    const approved = this.approve(document, assertions);
    if (!DESTROYING.has(document.verb)) return approved;
    const at = this.time.metered();
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
      if (RESERVED.test(admin)) throw new Refusal('refused', 'This name is kept for sealed keys.');
      if ([...this.state.keys.values()].some((key) => key.admin === admin)) {
        throw new Refusal('refused', 'This admin is on the roster already. Add a passkey instead.');
      }
      effects.push({ e: 'invite', admin, role, tokenSha256, until: this.time.now() + INVITE_LIFE });
    }
    return { signers, effects, repeated: false };
  }

  /** A new passkey: authorised by its one-time token, signed by itself. `at`: when the other guard took it. Throws Refusal. */
  enrol(document: EnrolKey, assertion: Assertion, at?: number): { key: RosterKey; effects: readonly Effect[] } {
    const now = at ?? this.time.now();
    this.fresh(document, GRANT_LIFE, now);
    const tokenSha256 = toBase64url(sha256(fromBase64url(document.token)));
    const token = this.state.tokens.get(tokenSha256);
    if (token === undefined) throw new Refusal('refused', 'This link is not valid.');
    const { admin, role, founding, until } = token;
    this.proves(document, assertion);
    const present = this.state.keys.get(document.credential);
    if (token.usedBy !== undefined) {
      if (token.usedBy === document.credential && present?.publicKey === document.publicKey) {
        return { key: present, effects: [] };
      }
      throw new Refusal('used', 'This link was used before.');
    }
    if (until !== undefined && until < now) throw new Refusal('expired', 'This link has expired.');
    if (present !== undefined || this.state.roster.sealed.has(document.credential)) {
      throw new Refusal('refused', 'This passkey is registered already.');
    }
    const known = [...this.state.keys.values()].find((key) => key.admin === admin);
    if (known !== undefined && token.further !== true) {
      throw new Refusal('refused', 'This admin is on the roster already. Add a passkey instead.');
    }
    const { credential, publicKey } = document;
    const key: RosterKey = { admin, role: known?.role ?? role, credential, publicKey, since: now, founding };
    this.mustBeOpen(key);
    return { key, effects: [{ e: 'key', key, tokenSha256, lived: this.time.lived() }] };
  }

  /** A passkey that registers itself must hold the key that it names. Throws Refusal. */
  proves(document: EnrolKey, assertion: Assertion): void {
    if (assertion.credential !== document.credential) throw new Refusal('refused', REFUSED);
    try {
      passkeyPublic(fromBase64url(document.publicKey));
      verifyAssertion({ assertion, document, publicKey: document.publicKey, origin: this.origin });
    } catch {
      throw new Refusal('refused', 'The new passkey did not prove itself.');
    }
  }

  /** Whose touch this is. A sealed key counts while it is open: for reading, for commands within the caps, and for unlocks. */
  signer(document: Signable, assertion: Assertion): RosterKey {
    const { credential } = assertion;
    const opened = ['reveal', 'command', 'unlock'].includes(document.op)
      ? this.state.roster.opened(credential, this.time.now(), this.time.lived())
      : undefined;
    const key = opened === undefined ? this.state.keys.get(credential) : sealedAs(opened);
    if (key === undefined) throw new Refusal('refused', REFUSED);
    try {
      verifyAssertion({ assertion, document, publicKey: key.publicKey, origin: this.origin });
    } catch {
      throw new Refusal('refused', REFUSED);
    }
    return key;
  }

  /** Neither the key, nor its admin, nor its role, nor the document may be locked. Throws Refusal. */
  mustBeOpen(key: RosterKey, document?: string): void {
    const what = lockOn(this.state, key);
    const words = {
      admin: 'This admin is locked.',
      role: 'This role is locked.',
      credential: 'This passkey is locked.',
    };
    if (what !== undefined) throw new Refusal('locked', words[what], key.admin);
    if (document !== undefined && this.state.locked('document', document)) {
      throw new Refusal('locked', 'This request is locked.', key.admin);
    }
  }

  fresh(
    document: { readonly id?: string; readonly notAfter: number },
    life: number,
    now: number,
    admin?: string,
  ): void {
    if (document.notAfter <= now) throw new Refusal('expired', 'This request has expired. Start again.', admin);
    if (isOlder(this.state.restoredAt, document, life)) {
      throw new Refusal('restored', 'This may have been signed before the restore. Sign anew in a few minutes.', admin);
    }
    if (document.notAfter > now + life) throw new Refusal('refused', 'This request is valid for too long.', admin);
  }

  /** That these passkeys were touched today, told once a day each. */
  touched(assertions: readonly Assertion[]): Effect[] {
    const at = this.time.now();
    const today = (credential: string) => dayOf(this.state.roster.seen.get(credential) ?? 0) === dayOf(at);
    const fresh = new Set(assertions.map((one) => one.credential).filter((credential) => !today(credential)));
    return [...fresh].map((credential) => ({ e: 'seen', credential, at }));
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
