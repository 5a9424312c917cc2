import { type Cosignature, cosignaturesIn, ProofError } from '#proof';
import { EvidenceError } from './error.ts';
import { post } from './post.ts';
import { keysOf, type WitnessSettings } from './settings.ts';
import type { Shown } from './shown.ts';

/** What a witness answered: cosignatures, or the size up to which it has cosigned. */
export type Said = { readonly cosignatures: readonly Cosignature[] } | { readonly size: number };

/** What a refusal means. C2SP tlog-witness, add-checkpoint. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: 'malformed',
  403: 'wrong-key',
  404: 'unknown-log',
  409: 'fork',
  422: 'fork',
  429: 'busy',
};

/** Shows a witness a checkpoint with the proof from `old`. Throws EvidenceError. */
export async function askWitness(witness: WitnessSettings, old: number, shown: Shown): Promise<Said> {
  const proof = shown.proof.map((hash) => `${hash.toString('base64')}\n`).join('');
  const body = Buffer.from(`old ${old}\n${proof}\n${shown.note}`);
  const { status, type, body: said } = await post(witness, 'add-checkpoint', 'text/plain; charset=utf-8', body);
  const text = said.toString('utf8');
  if (status === 409 && type.startsWith('text/x.tlog.size')) {
    const size = /^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1];
    if (size === undefined) throw new EvidenceError('answer', `${witness.name} answered with no size.`);
    // At the same size it has another root: that is a fork and no misunderstanding.
    if (Number(size) === old) throw new EvidenceError('fork', `${witness.name} saw another past of the log.`);
    return { size: Number(size) };
  }
  if (status !== 200)
    throw new EvidenceError(REFUSALS[status] ?? `status-${status}`, `${witness.name} did not cosign (${status}).`);
  try {
    const checkpoint = shown.note.slice(0, shown.note.lastIndexOf('\n\n') + 1);
    const cosignatures = cosignaturesIn(checkpoint, text, keysOf(witness));
    if (cosignatures.length > 0) return { cosignatures };
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
  }
  throw new EvidenceError('answer', `${witness.name} answered without a valid cosignature of its keys.`);
}
