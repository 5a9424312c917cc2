import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { findGo, goEnvironment } from '../../src/run/foreign.ts';

const run = promisify(execFile);

const goIn = (name: string, args: readonly string[]) => {
  const go = findGo();
  if (go === undefined) throw new Error('there is no Go toolchain');
  const cwd = join(import.meta.dirname, 'go', name);
  return run(go, [...args], { cwd, env: goEnvironment(), timeout: 300_000 });
};

/**
 * Builds a Go program of `test/interop/go`, or the program `of` that one of its modules holds, into a new folder and
 * returns its path. Modules come from the Go module proxy, pinned by go.sum. Throws with Go's own words.
 */
export async function buildGo(name: string, of = '.'): Promise<string> {
  const program = join(mkdtempSync(join(tmpdir(), 'btz-go-')), of === '.' ? name : basename(of));
  await goIn(name, ['build', '-buildvcs=false', '-o', program, of]);
  return program;
}

/** The folder of a module that a Go program of `test/interop/go` uses, as the proxy gave it. */
export async function goModule(name: string, module: string): Promise<string> {
  return (await goIn(name, ['list', '-m', '-f', '{{.Dir}}', module])).stdout.trim();
}
