import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '../config.ts';
import type { Home } from '../home.ts';

/** Stands while a restore is under way. */
export const restoreMark = (home: Home): string => join(home.dir, 'supervisor', 'restoring');

/** Throws RunError if a restore of this home was begun and not finished: it is not to be started. */
export function mustBeRestored(home: Home): void {
  if (existsSync(restoreMark(home))) {
    throw new RunError(
      'start-failed',
      'A restore into this --home was interrupted. Run bartizan restore again; it begins anew.',
    );
  }
}
