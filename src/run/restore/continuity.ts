import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError } from '#backup';
import { openCheckpoint, ProofError, TILE_WIDTH, Tree, tilePath } from '#proof';

const HASH = 32;

/** Leaf hashes of a log's folder up to `size`, from its level-0 tiles. */
function treeOf(folder: string, size: number): Tree | undefined {
  const tree = new Tree();
  for (let index = 0; index * TILE_WIDTH < size; index += 1) {
    const full = join(folder, tilePath(0, index));
    const partial = `${full}.p`;
    const widest = existsSync(partial) ? Math.max(...readdirSync(partial).map(Number)) : 0;
    const file = existsSync(full) ? full : join(partial, String(widest));
    if (!existsSync(file)) return undefined;
    const bytes = readFileSync(file);
    for (let at = 0; at + HASH <= bytes.length && tree.size < size; at += HASH)
      tree.append(bytes.subarray(at, at + HASH));
  }
  return tree.size === size ? tree : undefined;
}

/**
 * Holds the log that came back to the newest checkpoint that somebody kept: it must be a continuation of it, or shorter.
 * Returns how many leaves the log is known to have had. Throws BackupError `tampered` if it is another log.
 */
export function leavesKnown(folder: string, verifier: string, kept: string | undefined): number {
  const other = () =>
    new BackupError(
      'tampered',
      'The log in this backup is not the one that your checkpoint belongs to: it was changed, or one of the two is of another installation.',
    );
  try {
    const own = openCheckpoint(readFileSync(join(folder, 'checkpoint'), 'utf8'), verifier);
    const tree = treeOf(folder, own.size);
    if (tree === undefined || !tree.root().equals(own.root)) throw other();
    if (kept === undefined) return own.size;
    const known = openCheckpoint(kept, verifier);
    if (known.size <= own.size && !tree.root(known.size).equals(known.root)) throw other();
    return Math.max(own.size, known.size);
  } catch (cause) {
    if (cause instanceof ProofError)
      throw new BackupError('tampered', `${cause.message} ${other().message}`, { cause });
    throw cause;
  }
}
