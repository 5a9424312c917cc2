import { ProofError } from './errors.ts';

/** What a `.tlog-proof` file holds. C2SP tlog-proof. */
export interface ProofFile {
  readonly index: number;
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint, with cosignatures if it has some. */
  readonly checkpoint: string;
}

/** Writes a proof file. Throws ProofError `proof`. */
export function encodeProofFile({ index, proof, checkpoint }: ProofFile): string {
  if (!Number.isSafeInteger(index) || index < 0 || proof.length > 63 || !checkpoint.includes('\n\n')) {
    throw new ProofError('proof', 'There is no proof file for this place.');
  }
  const hashes = proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`).join('');
  return `c2sp.org/tlog-proof@v1\nindex ${index}\n${hashes}\n${checkpoint}`;
}
