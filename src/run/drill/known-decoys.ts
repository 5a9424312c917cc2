import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The handles of all decoys of an installation, read from the ledger's own journal: no door tells them. Somebody who reads
 * people at random meets one sooner or later and is cut off, which is right, but not what a test of reading wants. For outside
 * observers only.
 */
export function decoysOf(home: string): ReadonlySet<string> {
  const dir = join(home, 'ledger');
  const handles = new Set<string>();
  for (const file of readdirSync(dir, { withFileTypes: true })) {
    if (!file.isFile()) continue;
    const text = readFileSync(join(dir, file.name)).toString('latin1');
    for (const [, list] of text.matchAll(/"handles":\[([^\]]*)\],"what":"joined"/g))
      for (const [, handle] of list!.matchAll(/"([a-z0-9-]+)"/g)) handles.add(handle!);
  }
  if (handles.size === 0) throw new Error('The journal of the ledger names no decoys.');
  return handles;
}
