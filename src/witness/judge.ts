import { equalBytes } from '#base';
import { openNote, ProofError, parseForeignCheckpoint, parseVerifierKey, verifyConsistency } from '#proof';
import type { Memory } from './memory.ts';

/** What is asked. C2SP tlog-witness, add-checkpoint. */
export interface Request {
  readonly old: number;
  readonly proof: readonly Buffer[];
  /** The signed checkpoint. */
  readonly note: string;
}

export interface Answer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly body: string;
  readonly type: 'text/plain; charset=utf-8' | 'text/x.tlog.size';
}

const MOST_HASHES = 63;
const PLAIN = 'text/plain; charset=utf-8';
const answer = (status: Answer['status'], body: string): Answer => ({ status, body: `${body}\n`, type: PLAIN });

/** Reads a request's body; undefined if it is none. */
export function parseRequest(body: string): Request | undefined {
  const cut = body.indexOf('\n\n');
  if (cut < 0) return undefined;
  const [first = '', ...lines] = body.slice(0, cut).split('\n');
  const old = /^old (0|[1-9][0-9]{0,15})$/.exec(first)?.[1];
  if (old === undefined || !Number.isSafeInteger(Number(old)) || lines.length > MOST_HASHES) return undefined;
  const proof = lines.map((line) => Buffer.from(line, 'base64'));
  if (proof.some((hash, i) => hash.length !== 32 || hash.toString('base64') !== lines[i])) return undefined;
  return { old: Number(old), proof, note: body.slice(cut + 2) };
}

/**
 * Decides on one request in the order of C2SP tlog-witness, remembers, and only then signs. The caller sees to it that one
 * log's requests come one after the other.
 */
export async function addCheckpoint(body: string, memory: Memory, sign: (text: string) => string): Promise<Answer> {
  const request = parseRequest(body);
  if (request === undefined)
    return answer(400, 'Expected: old <size>, the consistency proof, an empty line, the signed checkpoint.');
  const { old, proof, note } = request;
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
  let origin: string;
  let size: number;
  let root: Buffer;
  try {
    ({ origin, size, root } = parseForeignCheckpoint(text));
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return answer(400, error.message);
  }
  const known = memory.of(origin);
  if (known === undefined) return answer(404, 'This witness does not know this log.');
  if (!known.keys.some((key) => signs(note, key)))
    return answer(403, 'The checkpoint is not signed by a key of this log that is known here.');
  if (old > size) return answer(400, 'The old size is beyond the checkpoint.');
  const { newest } = known;
  if (old !== newest.size) return { status: 409, body: `${newest.size}\n`, type: 'text/x.tlog.size' };
  if (old === size && !equalBytes(root, newest.root)) {
    memory.exhibit(known, note);
    return answer(409, 'FORK: another checkpoint of this size was cosigned here.');
  }
  if (!verifyConsistency(old, size, newest.root, root, proof)) {
    memory.exhibit(known, note);
    return answer(422, 'The proof does not show that the log still begins with what was cosigned here.');
  }
  await memory.keep(known, note);
  return { status: 200, body: sign(text), type: PLAIN };
}

function signs(note: string, verifier: string): boolean {
  try {
    openNote(note, parseVerifierKey(verifier));
    return true;
  } catch (error) {
    if (error instanceof ProofError) return false;
    throw error;
  }
}
