import type { Assertion, Export } from '#seal';
import { type Gate, Refusal } from '../gate.ts';
import type { Effect } from '../state.ts';

/** How long an export may take once two people have signed it, ms. */
export const EXPORT_LIFE = 3_600_000;

/**
 * Two people export everybody: judged, and charged in full before anything is opened, whatever becomes of it. Each guard does
 * this by itself. Throws Refusal.
 */
export function beginExport(
  gate: Gate,
  document: Export,
  assertions: readonly Assertion[],
): { signers: readonly string[]; effects: readonly Effect[]; until: number } {
  if (gate.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
  const { signers, effects } = gate.approve(document, assertions);
  const [at, lived] = [gate.time.now(), gate.time.lived()];
  const { id, people } = document;
  const refused = gate.state.exports.refusal({ people, at, lived });
  if (refused !== undefined) throw new Refusal('cap', 'No more may be exported today.', document.requester, refused);
  return {
    signers,
    effects: [...effects, { e: 'export', charge: { id, people, at, lived } }],
    until: at + EXPORT_LIFE,
  };
}

export const notOpen = (): Refusal =>
  new Refusal('not-open', 'This export is not under way any more. It counts; ask for another.');
