import type { KeyObject } from 'node:crypto';
import {
  type Assertion,
  type CommandSet,
  type Declare,
  type DeclarePermit,
  type EnrolKey,
  EVERY_DEVICE,
  type Invite,
  membersDigest,
  type Permit,
  signDeclarePermit,
  signPermit,
  type Unlock,
} from '#seal';
import type { Book } from './book.ts';
import type { Gate } from './gate.ts';
import { RosterActs } from './roster-acts.ts';
import type { Decree } from './roster-state.ts';

/** What people decide with their passkeys: permits for what destroys or is dangerous, unlocks, invitations, new keys. */
export class Decisions {
  readonly #book: Book;
  readonly #signing: KeyObject;
  /** What changes the roster itself. */
  readonly roster: RosterActs;

  constructor(book: Book, signing: KeyObject) {
    this.#book = book;
    this.roster = new RosterActs(book);
    this.#signing = signing;
  }

  /** One permit per command of an approved set. The same approved document gets the same permits again, at no charge. */
  async authorise(document: CommandSet, assertions: readonly Assertion[]): Promise<{ permits: Permit[] }> {
    const detail = { approval: document.id, verb: document.verb, asked: document.commands.length };
    const known = this.#book.gate.seen(document) && document.notAfter > this.#book.gate.time.now();
    if (!known || this.#book.gate.state.locked('commands')) {
      let approved: ReturnType<Gate['command']>;
      try {
        approved = this.#book.gate.command(document, assertions);
      } catch (error) {
        return this.#book.refuse('approval.refused', error, { ...detail, claimed: document.requester });
      }
      const devices = document.commands.map((command) => command.device);
      const { signers, effects } = approved;
      await this.#book.record(
        'command.permitted',
        document.requester,
        { ...detail, signers, devices, purpose: document.purpose },
        effects,
      );
    } else {
      await this.#book.log.flush();
    }
    const permits = document.commands.map(({ device, uuid, body }) =>
      signPermit(this.#signing, {
        v: 1,
        device,
        uuid,
        body,
        verb: document.verb,
        approval: document.id,
        notAfter: document.notAfter,
      }),
    );
    return { permits };
  }

  /** The permit for approved declarations. The same approved document gets the same permit again. */
  async declare(document: Declare, assertions: readonly Assertion[]): Promise<{ permit: DeclarePermit }> {
    const { id: approval, declarations, devices: named, until, notAfter, requester, purpose } = document;
    const devices = named === EVERY_DEVICE ? EVERY_DEVICE : membersDigest(named);
    const count = named === EVERY_DEVICE ? {} : { count: named.length };
    const detail = { approval, declarations: declarations.map(({ identifier }) => identifier), devices, ...count };
    const known = this.#book.gate.seen(document) && notAfter > this.#book.gate.time.now();
    if (!known || this.#book.gate.state.locked('commands')) {
      let approved: ReturnType<Gate['declare']>;
      try {
        approved = this.#book.gate.declare(document, assertions);
      } catch (error) {
        return this.#book.refuse('approval.refused', error, { approval, op: 'declare', claimed: requester });
      }
      const { signers, effects } = approved;
      await this.#book.record('declaration.permitted', requester, { ...detail, signers, purpose, until }, effects);
    } else {
      await this.#book.log.flush();
    }
    return { permit: signDeclarePermit(this.#signing, { approval, declarations, devices, until, notAfter }) };
  }

  async decide(document: Unlock | Invite, assertions: readonly Assertion[]): Promise<object> {
    const kind = document.op === 'unlock' ? 'approval.refused' : 'account.refused';
    let decided: ReturnType<Gate['decide']>;
    try {
      decided = this.#book.gate.decide(document, assertions);
    } catch (error) {
      return this.#book.refuse(kind, error, { approval: document.id, op: document.op, claimed: document.requester });
    }
    const { signers, effects, repeated } = decided;
    if (repeated) await this.#book.log.flush();
    else if (document.op === 'unlock') {
      const { id, scope, target, purpose } = document;
      await this.#book.record(
        'lock.off',
        document.requester,
        { approval: id, scope, target, signers, purpose },
        effects,
      );
    } else {
      const { id, admin, role, purpose } = document;
      await this.#book.record(
        'account.invited',
        document.requester,
        { approval: id, admin, role, signers, purpose },
        effects,
      );
    }
    return {};
  }

  async enrol(document: EnrolKey, assertion: Assertion): Promise<{ admin: string; role: string }> {
    const sealed = await this.roster.enrolSealed(document, assertion);
    if (sealed !== undefined) return sealed;
    let enrolled: ReturnType<Gate['enrol']>;
    try {
      enrolled = this.#book.gate.enrol(document, assertion);
    } catch (error) {
      return this.#book.refuse('account.refused', error, { op: 'enrol-key' });
    }
    const { key, effects } = enrolled;
    const { admin, role, credential, founding } = key;
    if (effects.length === 0) await this.#book.log.flush();
    else {
      const decree: Decree = { document, assertions: [assertion], time: this.#book.gate.time.now() };
      const all = [...effects, { e: 'decree', decree } as const];
      await this.#book.record('account.key_enrolled', admin, { role, credential, founding }, all);
    }
    return { admin, role };
  }
}
