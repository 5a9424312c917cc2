import { Finding } from './finding.ts';
import { openCheckpoint, type Trust } from './log.ts';
import { leafHash, rootFromInclusion } from './merkle.ts';
import type { Witnessed } from './policy.ts';

export interface ProofReport {
  readonly ok: boolean;
  readonly origin?: string;
  readonly index?: number;
  /** Entries under the checkpoint. */
  readonly entries?: number;
  readonly witnessed?: Witnessed['by'];
  readonly problems: readonly string[];
}

/** C2SP tlog-proof: a tree of 2^63 leaves has no longer path. */
const LONGEST = 63;

/** Checks a proof that an entry is in a log, offline. C2SP tlog-proof. */
export function verifyProof(file: Buffer, entry: Buffer, trust: Trust): ProofReport {
  try {
    const { index, hashes, note } = readProof(file);
    const { checkpoint, witnessed } = openCheckpoint(note, trust);
    const { origin, size, root } = checkpoint;
    const facts = { origin, index, entries: size };
    const led = rootFromInclusion(leafHash(entry), index, size, hashes);
    if (led === undefined || !led.equals(root))
      return { ok: false, ...facts, problems: ['The entry is not at this place of the log.'] };
    const seen = witnessed === undefined ? {} : { witnessed: witnessed.by };
    if (witnessed?.enough === false)
      return {
        ok: false,
        ...facts,
        ...seen,
        problems: ['NOT WITNESSED: cosignatures that the policy asks for are missing.'],
      };
    return { ok: true, ...facts, ...seen, problems: [] };
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    return { ok: false, problems: [error.message] };
  }
}

function readProof(file: Buffer): { index: number; hashes: Buffer[]; note: Buffer } {
  const cut = file.indexOf('\n\n');
  const lines = file.toString('latin1', 0, Math.max(cut, 0)).split('\n');
  const bad = (what: string) => new Finding('proof', `The proof is malformed: ${what}.`);
  if (cut < 0 || lines.shift() !== 'c2sp.org/tlog-proof@v1') throw bad('it does not begin with c2sp.org/tlog-proof@v1');
  if (lines[0]?.startsWith('extra ')) {
    const extra = lines.shift()!.slice('extra '.length);
    if (Buffer.from(extra, 'base64').toString('base64') !== extra) throw bad('its extra line is not base64');
  }
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1];
  if (index === undefined || !Number.isSafeInteger(Number(index))) throw bad('it has no index');
  if (lines.length > LONGEST) throw bad('it has more than 63 hashes');
  const hashes = lines.map((line) => {
    const hash = Buffer.from(line, 'base64');
    if (hash.length !== 32 || hash.toString('base64') !== line) throw bad('a hash is not 32 bytes in base64');
    return hash;
  });
  return { index: Number(index), hashes, note: file.subarray(cut + 2) };
}
