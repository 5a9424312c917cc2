import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findGo, goEnvironment } from '../../src/run/foreign.ts';

const run = promisify(execFile);

/**
 * Builds a Go program of `test/interop/go` into a new folder and returns its path. Modules come from the Go module proxy,
 * pinned by go.sum. Throws with Go's own words.
 */
export async function buildGo(name: string): Promise<string> {
  const go = findGo();
  if (go === undefined) throw new Error('there is no Go toolchain');
  const program = join(mkdtempSync(join(tmpdir(), 'btz-go-')), name);
  await run(go, ['build', '-buildvcs=false', '-o', program, '.'], {
    cwd: join(import.meta.dirname, 'go', name),
    env: goEnvironment(),
    timeout: 300_000,
  });
  return program;
}
