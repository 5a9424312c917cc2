import { type KeyObject, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes } from '#base';
import { type Checkpoint, openCheckpoint, ProofError, type Tree, verifierKey } from '#proof';
import { GuardError } from '#seal';
import { writeDurably } from './files.ts';

const FORK = 'This log signed a past that it does not contain. Restore it from the newest backup; it is not continued.';

/**
 * What this log once signed, as others kept it. Files alone cannot show that journal, tiles and checkpoint went back in time
 * together; a checkpoint with our own signature does. Only our key makes one, so nobody else can stop us with it.
 */
export class OwnWord {
  readonly #file: string;
  readonly #verifier: string;

  constructor(options: { readonly state: string; readonly origin: string; readonly key: KeyObject }) {
    this.#file = join(options.state, 'signed-before');
    this.#verifier = verifierKey(options.origin, options.key);
  }

  /** At the start: what stopped us last must be in the journal now. Throws GuardError `fork`. */
  async mustHold(tree: Tree): Promise<void> {
    if (!existsSync(this.#file)) return;
    if (!this.#holds(readFileSync(this.#file, 'utf8'), tree)) throw new GuardError('fork', FORK);
    await rm(this.#file);
  }

  /**
   * Compares a checkpoint that somebody kept with what we have. Throws GuardError `fork` if we signed it and do not contain
   * it; that is on the disk before, so that no restart forgets it. One that is not ours says nothing.
   */
  async mustContain(note: string, tree: Tree): Promise<void> {
    if (this.#holds(note, tree)) return;
    // Two callers may say so at once.
    await writeDurably(this.#file, note, { temporary: `${this.#file}.${randomUUID()}` });
    throw new GuardError('fork', FORK);
  }

  #holds(note: string, tree: Tree): boolean {
    let signed: Checkpoint;
    try {
      signed = openCheckpoint(note, this.#verifier);
    } catch (error) {
      if (error instanceof ProofError) return true;
      throw error;
    }
    return signed.size <= tree.size && equalBytes(tree.root(signed.size), signed.root);
  }
}
