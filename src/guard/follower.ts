import {
  type Assertion,
  type EnrolKey,
  type GuardClient,
  GuardError,
  parseAssertion,
  parseEnrolKey,
  parseRefound,
  parseRosterChange,
  SealError,
  type Shape,
  shape,
} from '#seal';
import { Council } from './council.ts';
import { type Gate, Refusal } from './gate.ts';
import type { Decree } from './roster-state.ts';
import type { Effect } from './state.ts';

const { object, list, integer, base64url } = shape;

const signed = list(parseAssertion, 8, 1);
const time = integer(0);
const change = object({ document: parseRosterChange, assertions: signed, time });
const enrol = object({ document: parseEnrolKey, assertions: signed, time });
const refound = object({ document: parseRefound, signature: base64url(64), time });

const decree: Shape<Decree> = (value, where) => {
  const op = (value as { document?: { op?: unknown } } | null)?.document?.op;
  if (op === 'enrol-key') return enrol(value, where);
  return op === 'refound' ? refound(value, where) : change(value, where);
};
const answer = object({ decrees: list(decree, 100) });

/**
 * The sealer's roster follows the ledger's, change by change in the ledger's order, and takes none that it would not have made
 * by itself: each carries the signatures. So neither glass can lead the two apart by handing each another change, nor can the
 * ledger make one up; it can only withhold one.
 */
export class Follower {
  readonly #gate: Gate;
  readonly #council: Council;
  readonly #ledger: GuardClient;
  readonly #keep: (effects: readonly Effect[]) => Promise<void>;
  #following: Promise<void> | undefined;
  /** The change that this guard refused, if any: nothing after it is taken. */
  stuck: number | undefined;

  /** `keep` applies effects at once and resolves when they are on disk. */
  constructor(gate: Gate, ledger: GuardClient, keep: (effects: readonly Effect[]) => Promise<void>) {
    this.#gate = gate;
    this.#council = new Council(gate);
    this.#ledger = ledger;
    this.#keep = keep;
  }

  /** Takes what the ledger took since. Throws GuardError if it cannot be asked, or tells of what nobody signed. */
  catchUp(): Promise<void> {
    this.#following ??= this.#follow().finally(() => {
      this.#following = undefined;
    });
    return this.#following;
  }

  async #follow(): Promise<void> {
    const { roster } = this.#gate.state;
    for (;;) {
      const given = await this.#ledger.call('decrees', { after: roster.taken });
      let decrees: readonly Decree[];
      try {
        ({ decrees } = answer(given));
      } catch (error) {
        if (error instanceof SealError)
          throw new GuardError('refused', 'The ledger tells of a change in a wrong form.');
        throw error;
      }
      if (decrees.length === 0) return;
      for (const one of decrees) {
        const n = roster.taken + 1;
        let effects: readonly Effect[];
        try {
          effects = this.#judge(one);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          this.stuck = n;
          throw new GuardError(
            'refused',
            'The ledger tells of a change of the roster that this guard does not accept.',
          );
        }
        await this.#keep([...effects, { e: 'taken', n }]);
        this.stuck = undefined;
      }
    }
  }

  #judge(one: Decree): readonly Effect[] {
    const { document, time: at } = one;
    if ('signature' in one) return this.#council.refound(one.document, one.signature, at).effects;
    if (document.op === 'roster') return this.#council.change(document, one.assertions, at).effects;
    return this.#enrol(document as EnrolKey, one.assertions[0]!, at);
  }

  #enrol(document: EnrolKey, assertion: Assertion, at: number): readonly Effect[] {
    const sealed = this.#council.enrolSealed(document, assertion, at);
    return sealed?.effects ?? this.#gate.enrol(document, assertion, at).effects;
  }
}
