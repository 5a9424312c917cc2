import { toBase64url } from '#base';
import { type Assertion, type LockKey, readAgeRecipient, type ThirdLock, type ThirdState } from '#seal';
import type { Book } from './book.ts';
import { hashOf, REFUSED, Refusal } from './gate.ts';
import type { Effect } from './state.ts';
import { MINUTE } from './time.ts';

const LIFE = 10 * MINUTE;
/** A third lock that one person's authenticator alone could open would be lost with it. */
const LEAST_PEOPLE = 2;
const MOST_MADE = 50;

/**
 * The ledger's part in the third lock: it keeps which passkeys can open boxes, and the boxes. What is in them it cannot know;
 * that a box is good its owner finds out, and a bad one opens nothing.
 */
export class ThirdLocks {
  readonly #book: Book;

  constructor(book: Book) {
    this.#book = book;
  }

  /** What there is. Public keys and boxes. */
  state(): ThirdState {
    const { third, rotation, recovery, keys } = this.#book.gate.state;
    const inForce = rotation.statement?.third ?? null;
    const made = inForce === null ? third.last : third.made.get(inForce);
    const known = [...third.keys.values()].filter(({ credential }) => keys.has(credential));
    return {
      inForce,
      made: [...third.made.keys()],
      proposed: made === undefined || inForce !== null ? null : { key: made.key, admin: made.admin, at: made.at },
      keys: known.sort((a, b) => (a.credential < b.credential ? -1 : 1)),
      boxes: [...(made?.boxes ?? [])].map(([credential, box]) => ({ credential, box })),
      recovery: made?.recovery ?? null,
      recoveryKey: recovery === undefined ? null : toBase64url(readAgeRecipient(recovery.recipients.organisation)),
    };
  }

  /** An administrator's or analyst's passkey names the key that its PRF gives. Repeating it does nothing. Throws Refusal. */
  async pin(document: LockKey, assertion: Assertion): Promise<object> {
    const { gate } = this.#book;
    const { id, admin, credential, key, notAfter } = document;
    const detail = { document: id, op: 'lock-key' };
    const known = gate.state.third.keys.get(credential);
    if (known?.key === key && known.admin === admin) {
      await this.#book.log.flush();
      return {};
    }
    let effects: Effect[];
    try {
      this.#judge(document, assertion);
      if (assertion.credential !== credential) throw new Refusal('refused', REFUSED, admin);
      if (known !== undefined) throw new Refusal('refused', 'This passkey has a lock key already.', admin);
      effects = [
        { e: 'used', id, notAfter, sha256: hashOf(document) },
        { e: 'third', change: { what: 'key', admin, credential, key } },
        ...gate.touched([assertion]),
      ];
    } catch (error) {
      return this.#book.refuse('approval.refused', error, { ...detail, claimed: admin });
    }
    await this.#book.record('third.key_pinned', admin, detail, effects);
    return {};
  }

  /** Proposes a third lock, or adds boxes to the one that there is. Throws Refusal. */
  async share(document: ThirdLock, assertion: Assertion): Promise<object> {
    const { gate } = this.#book;
    const { id, admin, act, key, boxes, recovery, notAfter } = document;
    const detail = { document: id, op: 'third-lock', act, boxes: boxes.length };
    if (gate.seen(document)) {
      await this.#book.log.flush();
      return {};
    }
    let effects: Effect[];
    try {
      this.#judge(document, assertion);
      const change = act === 'make' ? this.#made(document) : this.#shared(document);
      effects = [
        { e: 'used', id, notAfter, sha256: hashOf(document) },
        { e: 'third', change },
        ...gate.touched([assertion]),
      ];
    } catch (error) {
      return this.#book.refuse('approval.refused', error, { ...detail, claimed: admin });
    }
    const kind = act === 'make' ? 'third.proposed' : 'third.shared';
    await this.#book.record(kind, admin, { ...detail, key, recovery: recovery !== undefined }, effects);
    return {};
  }

  #judge(document: LockKey | ThirdLock, assertion: Assertion): void {
    const { gate } = this.#book;
    const signer = gate.signer(document, assertion);
    if (signer.admin !== document.admin || signer.role === 'dpo') throw new Refusal('refused', REFUSED, signer.admin);
    if (document.op === 'third-lock' && signer.role !== 'administrator') {
      throw new Refusal('refused', 'Only administrators give others the third lock.', signer.admin);
    }
    gate.mustBeOpen(signer, document.id);
    gate.fresh(document, LIFE, gate.time.now(), signer.admin);
    if (gate.state.used.has(document.id)) throw new Refusal('used', 'This touch was used before.', signer.admin);
  }

  #made({ admin, key, boxes, recovery }: ThirdLock) {
    const { gate } = this.#book;
    const { third, rotation, recovery: pinned } = gate.state;
    if (rotation.statement?.third !== undefined) {
      throw new Refusal('refused', 'A third lock is in force already. It is never changed by the servers.', admin);
    }
    const people = new Set(boxes.map(({ credential }) => this.#whose(credential, admin)));
    if (people.size < LEAST_PEOPLE) {
      throw new Refusal('too-few', 'The passkeys of at least two people must open the third lock.', admin);
    }
    if (pinned !== undefined && recovery === undefined) {
      throw new Refusal('refused', 'The recovery key must open the third lock too.', admin);
    }
    if (third.made.has(key)) throw new Refusal('refused', 'This third lock was proposed already.', admin);
    if (third.made.size >= MOST_MADE) throw new Refusal('cap', 'Too many third locks were proposed here.', admin);
    const at = gate.time.now();
    return { what: 'made', key, admin, at, boxes, ...(recovery === undefined ? {} : { recovery }) } as const;
  }

  #shared({ admin, key, boxes, recovery }: ThirdLock) {
    const { rotation, third } = this.#book.gate.state;
    const made = rotation.statement?.third === undefined ? third.last : third.made.get(rotation.statement.third);
    if (made?.key !== key || recovery !== undefined) {
      throw new Refusal('refused', 'This is not the third lock that there is.', admin);
    }
    for (const { credential } of boxes) {
      // A box is given once: nobody takes the good one from somebody else.
      if (this.#whose(credential, admin) !== admin && made.boxes.has(credential)) {
        throw new Refusal('refused', 'One of these passkeys has its box already.', admin);
      }
    }
    return { what: 'shared', key, boxes } as const;
  }

  #whose(credential: string, admin: string): string {
    const { third, keys } = this.#book.gate.state;
    const pinned = third.keys.get(credential);
    if (pinned === undefined || keys.get(credential)?.admin !== pinned.admin) {
      throw new Refusal(
        'refused',
        'One of these passkeys has not named its lock key, or is on the roster no more.',
        admin,
      );
    }
    return pinned.admin;
  }
}
